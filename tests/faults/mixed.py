"""A server that knows whom it talks to and mistreats most of them: a `Mix` turns each request into a raw_server script.

    python -m tests.faults.mixed       prints its URL and serves every fault until it is killed

Answers name the key and the agent that they are for, so a client that mixes them up is found out. With `unasked`, some
are followed by another answer to the same request that nobody asked for, on a connection that is idle by then.
"""

import asyncio
import gzip
import json
import random
from collections.abc import Callable, Mapping

from attrs import define, field

from tests.raw_server import FIN, RST, RawServer, Script, http

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PAUSE = 0.002
SLOW = 0.4


def chunks(body: bytes) -> bytes:
    """The body in two chunks, without the end."""
    half = len(body) // 2
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))


def gzipped(body: bytes, cut: int = 0) -> bytes:
    """An answer that is compressed, and may lack its last bytes though its length is right."""
    data = gzip.compress(body)
    return http(data[: len(data) - cut], "200 OK", "Content-Encoding: gzip")


def status(code: int, *headers: str) -> Script:
    """An answer that is an error, as documented."""
    return (http(b'{"error": "scripted"}', f"{code} Scripted", *headers),)


FAULTS: Mapping[str, Callable[[bytes], Script]] = {
    "well": lambda body: (http(body),),
    "chunked": lambda body: (chunks(body) + b"0\r\n\r\n",),
    "gzip": lambda body: (gzipped(body),),
    "in pieces": lambda body: (http(body)[:40], PAUSE, http(body)[40:]),
    "until the end": lambda body: (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, FIN),
    "429": lambda body: status(429, "Retry-After: 0"),
    "500": lambda body: status(500),
    "503": lambda body: status(503, "Retry-After: 0"),
    "404": lambda body: status(404),
    "401": lambda body: status(401),
    "204": lambda body: (b"HTTP/1.1 204 No Content\r\n\r\n",),
    "redirect": lambda body: status(302, "Location: https://elsewhere.example/"),
    "web page": lambda body: (http(b"<html>", "502 Bad Gateway", "Content-Type: text/html"),),
    "no JSON": lambda body: (http(body[:-1]),),
    "empty": lambda body: (http(b""),),
    "lost": lambda body: (FIN,),
    "reset": lambda body: (RST,),
    "head cut": lambda body: (http(body)[:20], PAUSE, FIN),
    "body cut": lambda body: (http(body)[:-9], PAUSE, FIN),
    "body reset": lambda body: (http(body)[:-9], PAUSE, RST),
    "chunks cut": lambda body: (chunks(body), FIN),
    "gzip cut": lambda body: (gzipped(body, 9),),
    "brotli": lambda body: (http(body, "200 OK", "Content-Encoding: br"),),
    "not HTTP": lambda body: (b"SSH-2.0-OpenSSH_9.9\r\n", FIN),
    "bad chunk": lambda body: (CHUNKED + b"zz\r\n{}\r\n",),
    "too much": lambda body: (http(body) + b"extra",),
    "slow": lambda body: (SLOW, http(body)),
}
OFTEN = ("well",) * 40 + ("chunked", "gzip", "in pieces") * 4
"""That 1 in 3 of what follows is a failure, as in `Mix([*OFTEN, *FAULTS])`."""


def document(request: bytes) -> bytes:
    """The answer to a request for an agent's domains: the key and the agent."""
    path = request.split(b" ", 2)[1].decode()
    key = next(line.split()[-1].decode() for line in request.split(b"\r\n") if line.startswith(b"Authorization"))
    return json.dumps({"domains": [key, path.split("/")[-2]]}).encode()


@define
class Mix:
    """Draws a fault for each request, by a seed; `unasked` is the share of answers that a forged one follows."""

    faults: list[str]
    seed: int = 0
    unasked: float = 0.0
    _random: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, request: bytes) -> Script:
        body = document(request)
        script = FAULTS[self._random.choice(self.faults)](body)
        return (*script, PAUSE, http(body)) if self._random.random() < self.unasked else script


async def serve() -> None:
    """Everything, until the process is killed."""
    async with RawServer(Mix([*OFTEN, *FAULTS], seed=7, unasked=0.01)) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(serve())
