"""The list of workspaces with what each allows today, as a file that the next audit reads."""

from pathlib import Path

import pytest

from chatloom_async import ApiKey
from chatloom_async.audit import Row, Summary, Workspace, load_workspaces
from chatloom_async.audit.formats.expectation import ExpectationFormat, KeyInListError
from chatloom_async.audit.keys import KeyCommand, KeyEnv, KeyFile, KeyJson
from tests.audit.rules.cases import audited
from tests.samples import KEY

WORKSPACES = [
    Workspace("acme", KeyEnv("ACME_KEY"), tags=("eu", "b2b"), expect=("old.example", "*.acme.example")),
    Workspace('a "quoted"\nname\x7f \u00fc', KeyJson("KEYS", "a#b")),
    Workspace("file", KeyFile("keys/acme")),
    Workspace("home", KeyFile("~/acme.key"), expect=("kept.example", "*.kept.example")),
    Workspace("command", KeyCommand(("pass", "show", "a b"))),
    Workspace("late", KeyEnv("LATE_KEY"), expect=()),
]
ROWS = [
    Row(
        "acme",
        "ok",
        (
            audited("Shop.example.", "m\u00fcnchen.example", "https://x.example/\nexpect = []"),
            audited("shop.example", "*.acme.example", "192.0.2.1", "*", id="agt_2"),
        ),
    ),
    Row(WORKSPACES[1].name, "ok", (audited(),)),
    Row("file", "ok"),
    Row("home", "partial", (audited("new.example"),)),
    Row("command", "failed"),
]


def test_the_file_is_a_list_of_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that the list had, and what is allowed now. What was not read as a whole is as before."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "elsewhere" / "expected.toml"
    path.parent.mkdir()
    text = "".join(ExpectationFormat(WORKSPACES).pieces(ROWS, Summary()))
    path.write_text(text, "utf-8")
    read = load_workspaces(path)
    assert [(each.name, each.tags) for each in read] == [(each.name, each.tags) for each in WORKSPACES]
    keys = [each.key for each in WORKSPACES]
    assert [each.key for each in read] == [*keys[:2], KeyFile(tmp_path / "keys/acme"), *keys[3:]]
    assert [each.expect for each in read] == [
        ("*.acme.example", "192.0.2.1", "m\u00fcnchen.example", "shop.example"),
        (),
        (),
        ("kept.example", "*.kept.example"),
        None,
        (),
    ]
    assert "# Left out, since it is not a host name: https://x.example/ expect = []\n" in text
    assert "# Left out, since it would approve every domain that fits: *\n" in text
    assert text.count("# Not read as a whole") == 3


def test_a_key_is_not_written() -> None:
    """A list that holds keys is refused before anything is read."""
    with pytest.raises(KeyInListError) as caught:
        ExpectationFormat([Workspace("acme", ApiKey(KEY))])
    assert KEY not in str(caught.value)
