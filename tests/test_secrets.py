"""The search for keys finds them."""

from tests.samples import KEY
from tests.secrets import found


def caught(problem: Exception, text: str) -> Exception:
    """`text` is what a careless frame remembers."""
    try:
        raise problem
    except Exception as error:
        return error


def test_a_key_is_found_wherever_it_shows() -> None:
    """In the error, in the frames that it went through, in the error before it, and in other texts."""
    careless, quiet = ValueError(f"bad {KEY}"), ValueError("bad")
    assert found(KEY, careless) == ["str", "repr", "pickle", "traceback"]
    assert found(KEY, caught(quiet, "harmless"), "log") == []
    assert found(KEY, caught(quiet, KEY), f"log {KEY}") == ["traceback", "rich", "text 0"]
    quiet.__cause__ = caught(ValueError("first"), KEY)
    assert found(KEY, quiet) == ["traceback", "rich"]
