"""Decompresses a body while it arrives, piece by piece, so that whoever reads it can stop where it gets too long."""

import zlib
from collections.abc import Iterator

ENCODINGS = frozenset({"gzip", "deflate"})
ACCEPTED = "gzip, deflate"
PIECE = 2**18  # bytes that come out at once: about a millisecond, in which nothing else runs
MEMBERS = 128  # gzip may be several streams in a row; each costs a copy of all that follows it


class TooManyStreamsError(Exception):
    """One body of more compressed streams than anybody needs."""


class Inflater:
    """Turns the bytes of a gzip or deflate body into what was compressed, in the order in which they come.

    "deflate" is RFC 1950, as the standard says, or bare RFC 1951, as some servers send it.
    """

    def __init__(self, encoding: str) -> None:
        self._window = 16 + zlib.MAX_WBITS if encoding == "gzip" else 0
        self._members = 0
        self._stream = zlib.decompressobj()
        self._ended = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` makes possible to read, in pieces of at most PIECE bytes.

        Raises zlib.error for what is broken, TooManyStreamsError for what would only keep this machine busy.
        """
        piece = b""
        while data or len(piece) == PIECE:
            if self._ended:
                if not data:
                    break
                self._begin(data[0])
            piece = self._stream.decompress(data, PIECE)
            self._ended = self._stream.eof
            data = self._stream.unused_data if self._ended else self._stream.unconsumed_tail
            yield piece

    @property
    def complete(self) -> bool:
        """Whether the data may end here. A body that was cut off in the middle of a stream is not complete."""
        return self._ended

    def _begin(self, first: int) -> None:
        self._members += 1
        if self._members > MEMBERS:
            raise TooManyStreamsError
        bare = first & 15 != 8  # an RFC 1950 stream names its method, 8, in the low half of its first byte
        self._stream = zlib.decompressobj(self._window or (-zlib.MAX_WBITS if bare else zlib.MAX_WBITS))
