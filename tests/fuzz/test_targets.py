"""No bytes whatever break a promise. `nox -s fuzz` looks for such bytes for longer, guided by what they reach."""

import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from chatloom_async import ChatloomError, ConfigurationError, NotJSONError

from .inputs import inputs
from .promises import explained
from .samples import SAMPLES
from .targets import TARGETS

BROKE: list[tuple[str, bytes]] = [
    ("base_urls", b"https://[v1.example.com]"),
    ("base_urls", b"https://[::1]8443"),
    ("base_urls", b"https://chatloom.app[::1]"),
    ("statuses", b'\x01\xf4\n\n{"error": "' + b"x" * 2040 + b'clf_0123456789abcdef and more"}'),
    ("statuses", b"\x01\xf4\n\nsoft\xc2\xadhyphen"),
    ("toml", b"x=" + b"[" * 5000),
    ("toml", b"x=" + b"9" * 5000),
    ("mutes", b"mutes=" + b"[" * 5000),
    ("mutes", b"mutes=" + b"9" * 5000),
    ("cassette", SAMPLES["cassette"][0].replace(b'{"accept": "*/*"}', b'"accept"')),
    ("cassette", SAMPLES["cassette"][0].replace(b'"GET"', b"[7]", 1)),
]
"""What once broke one."""
SENSIBLE = [(name, data) for name, many in SAMPLES.items() for data in many]
CERTAIN = {f"{name}-{number}": (name, data) for number, (name, data) in enumerate([*BROKE, *SENSIBLE])}


def broken(name: str, data: bytes, folder: Path) -> str:
    """The promise that the target does not keep with this input, and where that shows; nothing, if it keeps all."""
    try:
        TARGETS[name](data, folder)
    except Exception:  # whatever comes out is against a promise
        return traceback.format_exc()
    return ""


def test_every_target_has_samples() -> None:
    """Coverage-guided fuzzing needs something to begin with."""
    assert [*TARGETS] == [*SAMPLES]


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_break_a_promise(name: str, tmp_path: Path) -> None:
    """Made up at random, or made of samples and of words that mean something."""

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(inputs(name))
    def tried(data: bytes) -> None:
        assert broken(name, data, tmp_path) == ""

    tried()


@pytest.mark.parametrize(("name", "data"), CERTAIN.values(), ids=CERTAIN)
def test_a_certain_input_breaks_none(name: str, data: bytes, tmp_path: Path) -> None:
    """What once broke one does not any more, nor does what makes sense."""
    assert broken(name, data, tmp_path) == ""


class Careless(ChatloomError):
    """An error whose hint is not cleaned, unlike what comes from outside."""


@pytest.mark.parametrize(
    ("hint", "complaint"),
    [
        ("The key clf_0123456789abcdef is bad", "a key shows"),
        ("a\x1b[31m", "invisible"),
        ("a\nb", "invisible"),
        ("a\u202eb", "invisible"),
        ("tag\U000e0041", "invisible"),
        ("x" * 3000, "bytes of text"),
        ("", "does not begin"),
        ("given by a stranger", "quotes"),
    ],
)
def test_a_broken_promise_is_seen(hint: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each promise about an error's text can be broken, and then the check fails."""
    monkeypatch.setattr(Careless, "hint", hint)
    error = Careless("No")
    with pytest.raises(AssertionError, match=complaint):
        explained(error, Careless, begin="No. " if hint else "Yes", without="by a stranger")


def test_an_error_of_another_kind_or_with_a_cause_is_seen() -> None:
    """A base class is not what is documented, and a cause would show its frames."""
    with pytest.raises(AssertionError, match="is not documented here"):
        explained(NotJSONError("No"), ChatloomError)
    error = ConfigurationError("No")
    error.__context__ = ValueError("within")
    with pytest.raises(AssertionError, match="chained"):
        explained(error, ConfigurationError)
