"""Workspaces files: four formats give the same values, and every mistake is named with its place."""

from pathlib import Path

import pytest

from chatloom_async import ApiKey
from chatloom_async.audit import (
    KeyCommand,
    KeyEnv,
    KeyFile,
    KeyJson,
    Workspace,
    WorkspacesFileError,
    load_ndjson,
    load_workspaces,
)
from tests.samples import KEY

TOML = """
[[workspaces]]
name = "acme"
key_env = "ACME_KEY"
tags = ["eu", "paid"]
expect = ["acme.example", "shop.acme.example"]

[[workspaces]]
name = "globex"
key_file = "keys/globex"

[[workspaces]]
name = "initech"
key_command = "pass show chatloom"
expect = []
"""
JSON = """[
  {"name": "acme", "key_env": "ACME_KEY", "tags": ["eu", "paid"], "expect": ["acme.example", "shop.acme.example"]},
  {"name": "globex", "key_file": "keys/globex"},
  {"name": "initech", "key_command": ["pass", "show", "chatloom"], "expect": [], "key_env": null}
]"""
NDJSON = """
{"name": "acme", "key_env": "ACME_KEY", "tags": ["eu", "paid"], "expect": ["acme.example", "shop.acme.example"]}

{"name": "globex", "key_file": "keys/globex"}
{"name": "initech", "key_command": ["pass", "show", "chatloom"], "expect": []}
"""
CSV = """name,key_env,key_file,key_command,tags,expect
acme,ACME_KEY,,,eu paid,"acme.example, shop.acme.example"
globex,,keys/globex,,,
initech,,,pass show chatloom,,;
"""


def expected(directory: Path) -> tuple[Workspace, ...]:
    """The workspaces that all the files describe."""
    return (
        Workspace("acme", KeyEnv("ACME_KEY"), ("eu", "paid"), ("acme.example", "shop.acme.example")),
        Workspace("globex", KeyFile(directory / "keys/globex")),
        Workspace("initech", KeyCommand(["pass", "show", "chatloom"]), (), ()),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("w.toml", TOML),
        ("w.json", JSON),
        ("w.json", f'{{"workspaces": {JSON}}}'),
        ("w.JSON", "\ufeff" + JSON),
        ("w.ndjson", NDJSON),
        ("w.jsonl", NDJSON),
        ("w.csv", CSV),
        ("w.csv", CSV.replace("\n", "\r\n")),
    ],
)
def test_every_format_gives_the_same_workspaces(tmp_path: Path, name: str, text: str) -> None:
    """A relative key file counts from the directory of the file that names it."""
    path = tmp_path / name
    path.write_text(text, "utf-8")
    assert load_workspaces(path) == expected(tmp_path)


def test_standard_input_is_ndjson() -> None:
    """There, a relative key file counts from the working directory."""
    assert load_ndjson("\ufeff" + NDJSON) == expected(Path())


def test_absolute_and_home_paths_stay_as_they_are(tmp_path: Path) -> None:
    """Only relative paths are completed."""
    path = tmp_path / "w.csv"
    path.write_text("name,key_file\na,/etc/key\nb,~/key\n")
    assert load_workspaces(path) == (Workspace("a", KeyFile("/etc/key")), Workspace("b", KeyFile("~/key")))


def test_a_json_member_is_named_after_its_variable() -> None:
    """The first # ends the name of the variable; a member may hold another one."""
    line = '{"name": "a", "key_json": "CHATLOOM_KEYS#team #1"}'
    assert load_ndjson(line) == (Workspace("a", KeyJson("CHATLOOM_KEYS", "team #1")),)


def test_an_inline_key_is_taken_only_where_it_is_asked_for() -> None:
    """The field `key` holds the key itself."""
    line = f'{{"name": "acme", "key": "{KEY}"}}'
    assert load_ndjson(line, inline_keys=True) == (Workspace("acme", ApiKey(KEY)),)


ONE_OF = "give it exactly one of key_env, key_json, key_file and key_command"
EXPOSED = "there, and treat that key as exposed"
KNOWN = "the known ones are name, key_env, key_json, key_file, key_command, tags, expect"
TWICE = "entry 2: the name 'a' is already that of entry 1: rename one"
INLINE = f"entry 1 (a): holds a key itself, which a file should not: {ONE_OF} (or allow it: --inline-keys)"
IN_PLACE, PUT = "entry 1 (a): key", "holds a key: put the"
COMMAND = f"{IN_PLACE}_command is neither a command line nor a list of its words"
MISTAKES = {
    "[1]": "entry 1: not an object with a name and a key reference",
    "[]": "holds no workspace: add one, or leave the file out to audit one key's workspace",
    "7": 'holds no list of workspaces: [[workspaces]] in TOML, "workspaces": [...] in JSON',
    "{}": 'holds no list of workspaces: [[workspaces]] in TOML, "workspaces": [...] in JSON',
    '{"workspaces": [], "wokspaces": []}': "unknown at the top level: wokspaces. Only `workspaces` is read",
    "[\n1,": "not valid JSON: Expecting value (line 2, column 3)",
    '[{"name": "a", "kye": 1, "env": 2}]': f"entry 1: unknown field env, kye: {KNOWN}",
    '[{"key_env": "A"}]': "entry 1: the name is missing: give every workspace one",
    '[{"name": " ", "key_env": "A"}]': "entry 1: the name is missing: give every workspace one",
    '[{"name": 7, "key_env": "A"}]': "entry 1: the name is missing: give every workspace one",
    '[{"name": "a"}]': f"entry 1 (a): no key reference: {ONE_OF}",
    '[{"name": "a", "key_env": "A", "key_file": "f"}]': f"entry 1 (a): has key_env and key_file: {ONE_OF}",
    '[{"name": "a", "key_env": "A"}, {"name": "a", "key_env": "B"}]': TWICE,
    '[{"name": "a", "key_env": "A", "tags": "eu"}]': "entry 1 (a): tags is not a list of strings",
    '[{"name": "a", "key_env": "A", "expect": [1]}]': "entry 1 (a): expect is not a list of strings",
    '[{"name": "a", "key_env": "A", "expect": ["b.example", "https://acme.example/"]}]': "entry 1 (a): expect: "
    '"https://acme.example/" is not a bare host name (it holds a scheme (https://), it holds a path (/)): '
    'write "acme.example"',
    '[{"name": "a", "key_env": "A", "expect": ["acme.example shop.example"]}]': "entry 1 (a): expect: "
    '"acme.example shop.example" is not a bare host name (it holds blanks): write the name of a host, such as '
    "acme.example",
    '{"mutes": []}': "holds mutes, which have a file of their own: name that file after --mutes",
    '{"workspaces": [], "mutes": []}': "holds mutes, which have a file of their own: name that file after --mutes",
    '[{"name": "a", "key_env": "A B"}]': "entry 1 (a): key_env is not the name of a variable",
    '[{"name": "a", "key_env": 7}]': "entry 1 (a): key_env is not the name of a variable",
    '[{"name": "a", "key_json": "KEYS"}]': "entry 1 (a): key_json is not VARIABLE#NAME",
    '[{"name": "a", "key_json": "KEYS#"}]': "entry 1 (a): key_json is not VARIABLE#NAME",
    '[{"name": "a", "key_json": "#a"}]': "entry 1 (a): key_json is not VARIABLE#NAME",
    '[{"name": "a", "key_json": {"KEYS": "a"}}]': "entry 1 (a): key_json is not VARIABLE#NAME",
    '[{"name": "a", "key_file": " "}]': "entry 1 (a): key_file is not a path",
    '[{"name": "a", "key_command": "\'"}]': COMMAND,
    f'[{{"name": "a", "key_env": "{KEY}"}}]': f"{IN_PLACE}_env {PUT} name of an environment variable {EXPOSED}",
    f'[{{"name": "a", "key_json": "{KEY}"}}]': f"{IN_PLACE}_json holds a key: put VARIABLE#NAME {EXPOSED}",
    f'[{{"name": "a", "key_json": "KEYS#{KEY}"}}]': f"{IN_PLACE}_json holds a key: put VARIABLE#NAME {EXPOSED}",
    f'[{{"name": "a", "key_file": "{KEY}"}}]': f"{IN_PLACE}_file {PUT} path of a file {EXPOSED}",
    f'[{{"name": "a", "key": "{KEY}"}}]': INLINE,
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.items())
def test_a_mistake_is_named_with_file_and_entry(tmp_path: Path, text: str, problem: str) -> None:
    """Nothing of a key is quoted, and the hint shows what an entry looks like."""
    path = tmp_path / "w.json"
    path.write_text(text)
    with pytest.raises(WorkspacesFileError) as caught:
        load_workspaces(path)
    assert caught.value == WorkspacesFileError(f"{path}: {problem}")
    assert KEY not in str(caught.value)


DOCUMENT = (
    "line 3: not valid JSON: Expecting property name enclosed in double quotes (column 2). "
    "Each line is one object here: a file with one JSON document is named .json"
)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("w.toml", "a = [", "not valid TOML: Invalid value (at end of document)"),
        ("w.toml", f"a = {'[' * 5000}", "not usable TOML: it is nested too deeply"),
        ("w.toml", f"a = {'9' * 5000}", "not usable TOML: an integer has too many digits"),
        (
            "w.ndjson",
            '\n{"name": "a", "key_env": "A"}\n{',
            DOCUMENT,
        ),
        ("w.ndjson", '\n{"name": "a"}', f"line 2 (a): no key reference: {ONE_OF}"),
        ("w.csv", "name,key_env\na,A,more\n", "line 2: more cells than the header has"),
        ("w.csv", 'name,key_env\na,"A', "line 2: not valid CSV: unexpected end of data"),
        (
            "w.csv",
            "name,env\na,A\n",
            "line 1: no column says where the keys are: add key_env, key_json, key_file or key_command",
        ),
        ("w.csv", "", "holds no workspace: add one, or leave the file out to audit one key's workspace"),
        ("w.csv", "name,key_env\n,A\n", "line 2: the name is missing: give every workspace one"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, name: str, text: str, problem: str) -> None:
    """Formats that have lines tell the line."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(WorkspacesFileError) as caught:
        load_workspaces(path)
    assert caught.value == WorkspacesFileError(f"{path}: {problem}")


def test_the_field_for_inline_keys_is_told_of_only_where_it_may_be_used() -> None:
    """Elsewhere it would be the next mistake."""
    for inline_keys, known in ((False, KNOWN), (True, KNOWN.replace("key_command", "key_command, key"))):
        with pytest.raises(WorkspacesFileError, match="unknown field env") as caught:
            load_ndjson('{"name": "a", "env": "A"}', inline_keys=inline_keys)
        assert caught.value.message.endswith(known)


def test_an_inline_key_that_cannot_be_one_is_not_quoted() -> None:
    """Not even where inline keys are allowed."""
    with pytest.raises(WorkspacesFileError) as caught:
        load_ndjson('{"name": "a", "key": "hunter2"}', inline_keys=True)
    assert caught.value == WorkspacesFileError(
        "standard input: line 1 (a): key cannot be used: The API key does not start with the prefix clf_ of all keys"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    with pytest.raises(WorkspacesFileError, match=r"w\.toml: cannot be read: No such file or directory"):
        load_workspaces(tmp_path / "w.toml")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """Whatever it is called."""
    (tmp_path / "w.toml").mkdir()
    with pytest.raises(WorkspacesFileError, match=r"w\.toml: cannot be read: Is a directory"):
        load_workspaces(tmp_path / "w.toml")


def test_two_workspaces_may_name_the_same_key() -> None:
    """That is for the rule key-duplicate to judge, when both are read."""
    loaded = load_ndjson('{"name": "a", "key_env": "KEY"}\n{"name": "b", "key_env": "KEY"}')
    assert loaded == (Workspace("a", KeyEnv("KEY")), Workspace("b", KeyEnv("KEY")))


def test_a_file_must_be_text(tmp_path: Path) -> None:
    """UTF-8, that is."""
    path = tmp_path / "w.csv"
    path.write_bytes("name,key_env\nM\u00fcller,A\n".encode("cp1252"))
    with pytest.raises(WorkspacesFileError) as caught:
        load_workspaces(path)
    assert caught.value == WorkspacesFileError(
        f"{path}: line 2: it is not UTF-8 text. Save it as UTF-8; a spreadsheet calls that 'CSV UTF-8'"
    )


def test_the_name_of_a_file_tells_its_format(tmp_path: Path) -> None:
    """Guessing by content would guess wrong one day."""
    with pytest.raises(WorkspacesFileError) as caught:
        load_workspaces(tmp_path / "w.yaml")
    assert caught.value == WorkspacesFileError(
        f"{tmp_path}/w.yaml: the file name does not show its format: "
        "end it in .toml, .json, .csv, .tsv, .ndjson, .jsonl"
    )
