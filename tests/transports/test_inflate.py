"""Decompression piece by piece."""

import gzip
import zlib

import pytest

from chatloom_async.transports.body import MEMBERS, PIECE, Inflater, TooManyStreamsError

TEXT = b"a" * (3 * PIECE) + b"b"
BARE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
RAW = BARE.compress(TEXT) + BARE.flush()

WHOLE = {
    "gzip": ("gzip", gzip.compress(TEXT), TEXT),
    "gzip of nothing": ("gzip", gzip.compress(b""), b""),
    "gzip of a full piece": ("gzip", gzip.compress(b"a" * PIECE), b"a" * PIECE),
    "two gzip streams": ("gzip", gzip.compress(TEXT) + gzip.compress(b"c"), TEXT + b"c"),
    "deflate with its header": ("deflate", zlib.compress(TEXT), TEXT),
    "deflate without": ("deflate", RAW, TEXT),
    "no bytes at all": ("gzip", b"", b""),
}


@pytest.mark.parametrize("size", [1, 7, 2**30])
@pytest.mark.parametrize(("encoding", "data", "text"), WHOLE.values(), ids=WHOLE)
def test_what_was_compressed_comes_back(encoding: str, data: bytes, text: bytes, size: int) -> None:
    """However the bytes arrive, the text is the same, whole, and in pieces of a limited size."""
    inflater, pieces = Inflater(encoding), list[bytes]()
    for start in range(0, len(data), size):
        pieces += inflater.feed(data[start : start + size])
    assert (b"".join(pieces), inflater.complete) == (text, True)
    assert max(map(len, pieces), default=0) <= PIECE


@pytest.mark.parametrize(
    ("encoding", "data"), [("gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT)), ("deflate", RAW)]
)
def test_a_cut_is_seen(encoding: str, data: bytes) -> None:
    """Wherever the data breaks off, even in the checksum at its end, it is not complete."""
    for end in range(1, len(data)):
        inflater = Inflater(encoding)
        list(inflater.feed(data[:end]))
        assert not inflater.complete


BROKEN = {
    "no gzip": ("gzip", b"plain text"),
    "wrong checksum": ("gzip", gzip.compress(b"text")[:-8] + bytes(8)),
    "no deflate": ("deflate", b"\xff" * 9),
    "something behind it": ("gzip", gzip.compress(b"text") + b"more"),
}


@pytest.mark.parametrize(("encoding", "data"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_an_error(encoding: str, data: bytes) -> None:
    """zlib's own error, which the caller translates."""
    with pytest.raises(zlib.error):
        list(Inflater(encoding).feed(data))


def test_streams_are_counted() -> None:
    """A body may consist of a few streams in a row, not of thousands: each one costs time, and may hold nothing."""
    inflater = Inflater("gzip")
    list(inflater.feed(gzip.compress(b"") * MEMBERS))
    with pytest.raises(TooManyStreamsError):
        list(inflater.feed(gzip.compress(b"")))
