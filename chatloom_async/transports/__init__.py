"""Transports send one request and return a response, or an error as a value.

A client uses aiohttp unless you pass another `transport=`. `Httpx2Transport` speaks HTTP/2, and calls
ASGI applications in the same process:

```py
from contextlib import aclosing

from chatloom_async import AsyncChatloom
from chatloom_async.transports.httpx2 import Httpx2Transport   # pip install '.[httpx2]'

async with aclosing(Httpx2Transport()) as transport, AsyncChatloom(transport=transport) as chatloom:
    print(len(await chatloom.list_agents()))
```

Both have the same contract: the same responses, the same errors as values, one request on the wire per `send`, no
redirects, cookies, netrc entries or environment proxies, a limit for decompressed bodies, and connections that are not
shared between keys. The differences:

| | `AiohttpTransport` | `Httpx2Transport` |
| --- | --- | --- |
| carries | HTTP/1.1 | HTTP/2 over TLS, else HTTP/1.1; `app=`: an ASGI application in this process |
| `ConnectionLostError.received` | reported | always False |
| a response head larger than 8 kB | refused | taken, up to 100 kB |

`CachingTransport`, `RecordingTransport` and `ReplayTransport` wrap another transport; `MockTransport` answers from a
function.
"""
