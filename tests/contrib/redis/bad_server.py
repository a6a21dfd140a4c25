"""A stand-in for Redis that grants everything, after as many bad replies to EVALSHA as a test asks for."""

import asyncio
from typing import Self

GOOD = b"*5\r\n:1\r\n$8\r\n0.000000\r\n$8\r\n4.000000\r\n$8\r\n0.000000\r\n:1\r\n"


class BadServer:
    """Speaks just enough of the protocol, version 2. `asked` counts the steps, `connections` who has connected.

    A bad reply is raw bytes; an empty one closes the connection, None answers nothing. With `cure`, the replies of a
    connection are all bad, and a new connection is good.
    """

    def __init__(self, *bad: bytes | None, cure: bytes = b"") -> None:
        self._bad, self._cure = [*bad], cure
        self.asked = self.connections = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}?protocol=2"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while head := await reader.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                reply: bytes | None = b"+OK\r\n"
                if words[0].upper() == b"EVALSHA":
                    self.asked += 1
                    wanted = words[12] != b"0"
                    reply = self._bad.pop(0) if self._bad else GOOD if wanted else GOOD.replace(b":1", b":0")
                    reply = self._cure if self._cure and number == 1 else reply
                elif words[0].upper() == b"HELLO":
                    reply = b"-ERR unknown command\r\n"
                if reply == b"":
                    break
                writer.write(reply or b"")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
