"""What TLS costs, and how often: several keys, each with its calls one after the other; nginx counts the connections.

Each connection to its port is one handshake. Needs nginx, and trustme for a certificate.
"""

import asyncio
import re
import ssl
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from urllib.request import urlopen

from chatloom_async import AiohttpTransport, AsyncChatloom

from ..answers import KEY
from ..arms.chatloom import client
from ..server import serving

KEYS, CALLS, ROUNDS = 10, 100, 3


def measure() -> dict[str, float]:
    """Handshakes per key, and CPU per call: with connections kept, and with one for each call, resumed and not."""
    import trustme

    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "certificate.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        with serving(certificate) as server:
            kept = asyncio.run(_calls(server.url, context))
            resumed, opened = [], []
            for _ in range(ROUNDS):
                resumed.append(asyncio.run(_calls(server.url, context, connection_reuse=False)))
                full = _calls(server.url, context, connection_reuse=False, tls_resumption=False)
                opened.append(asyncio.run(full))
    return {"handshakes per key": kept[0], "CPU, us": kept[1]} | {
        "handshakes per key, never reused": opened[0][0],
        "CPU, never reused, us": median(cpu for _, cpu in opened),
        "CPU, never reused but resumed, us": median(cpu for _, cpu in resumed),
    }


async def _calls(url: str, context: ssl.SSLContext, **options: bool) -> tuple[float, float]:
    transport = AiohttpTransport(ssl=context, **options)
    before = await asyncio.to_thread(_accepted, url, context)
    began = process_time()
    async with client(url, transport) as chatloom:
        await asyncio.gather(*(_one_key(chatloom.with_key(f"{KEY}{number}")) for number in range(KEYS)))
    await transport.aclose()
    spent = process_time() - began
    accepted = await asyncio.to_thread(_accepted, url, context) - before - 1  # that of the question itself
    return accepted / KEYS, spent / (KEYS * CALLS) * 1e6


async def _one_key(chatloom: AsyncChatloom) -> None:
    for _ in range(CALLS):
        await chatloom.list_agents()


def _accepted(url: str, context: ssl.SSLContext) -> int:
    """How many connections nginx has accepted so far, this one included."""
    with urlopen(f"{url}/status", context=context) as answer:
        found = re.search(r"\n (\d+) ", answer.read().decode())
    if found is None:
        raise ValueError("nginx tells no number of connections")
    return int(found[1])
