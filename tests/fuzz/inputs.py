"""The bytes that each target is given: what Hypothesis makes of the samples, of words, and of nothing."""

from hypothesis import strategies as st

from .samples import NAMES, NUMBERS, OTHERS, SAMPLES, TEXTS, WORDS

Inputs = st.SearchStrategy[bytes]


def _json() -> Inputs:
    """JSON and nearly JSON: known members at wrong places, twice, with blanks; numbers and texts at their limits."""
    names = st.sampled_from(NAMES).map(lambda name: f'"{name}"'.encode())
    blanks = st.sampled_from([b"", b"", b" ", b"\n"])

    def composed(inner: Inputs) -> Inputs:
        member = st.tuples(names, blanks, st.just(b":"), inner).map(b"".join)
        lists = st.lists(inner, max_size=3).map(lambda parts: b"[" + b",".join(parts) + b"]")
        return lists | st.lists(member, max_size=4).map(lambda parts: b"{" + b",".join(parts) + b"}")

    return st.recursive(st.sampled_from([*NUMBERS, *TEXTS, *OTHERS[:4]]), composed, max_leaves=8)


def _toml() -> Inputs:
    value = st.sampled_from([*NUMBERS, *TEXTS, *OTHERS]) | _json()
    line = st.tuples(st.sampled_from([name.encode() for name in NAMES]), st.just(b" = "), value).map(b"".join)
    heads = st.sampled_from([b"[[workspaces]]", b"[[mutes]]", b"[workspaces]", b"[mutes.a]"])
    return st.lists(heads | line, max_size=6).map(b"\n".join)


def _csv() -> Inputs:
    cell = st.sampled_from([*TEXTS, b"", b"a", b"b", b"eu;us", *(name.encode() for name in NAMES[:40])])
    return st.lists(st.lists(cell, max_size=4).map(b",".join), max_size=4).map(b"\r\n".join)


def _deep() -> Inputs:
    """Nested as deep as no document is."""
    openers = st.sampled_from([b"[", b'{"branches":[', b'{"a":', b"x=[", b"a.", b"[[", b"{x="])
    return st.tuples(openers, st.integers(1, 3000)).map(lambda both: both[0] * both[1])


def _altered(sample: bytes, start: float, length: int, word: bytes) -> bytes:
    """The sample, with a word in the place of some bytes."""
    at = int(start * len(sample))
    return sample[:at] + word + sample[at + length :]


MADE_UP = {
    "decoder": _json(),
    "json": _json(),
    "cassette": _json(),
    "ndjson": _json(),
    "toml": _toml(),
    "mutes": _toml(),
    "csv": _csv(),
}


def inputs(name: str) -> Inputs:
    """What the target of this name is tried with."""
    words = st.sampled_from(WORDS) | st.binary(max_size=4)
    altered = st.builds(_altered, st.sampled_from(SAMPLES[name]), st.floats(0, 1), st.integers(0, 40), words)
    texts = st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass"))
    return altered | MADE_UP.get(name, altered) | texts | st.binary(max_size=60) | _deep()
