"""Lists of workspaces as people have them: spellings whose meaning is certain are read, all others are explained."""

from pathlib import Path

import pytest

from chatloom_async.audit import KeyEnv, KeyFile, Workspace, WorkspacesFileError, load_ndjson, load_workspaces
from chatloom_async.audit.entries import toml_entries
from tests.samples import KEY

TAGS, EXPECT = '["eu", "paid"]', '["acme.example"]'
ACME = (Workspace("acme", KeyEnv("ACME_KEY"), ("eu", "paid"), ("acme.example",)),)


def loaded(folder: Path, name: str, raw: bytes | str) -> tuple[tuple[Workspace, ...], list[str]]:
    """The workspaces of a file with this content, and what was said of it."""
    said: list[str] = []
    path = folder / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return load_workspaces(path, notice=said.append), [text.removeprefix(f"{path}: ") for text in said]


@pytest.mark.parametrize(
    "text",
    [
        'name,key_env,tags,expect\r\nacme,ACME_KEY,"eu,paid",acme.example\r\n',
        "name;key_env;tags;expect\r\nacme;ACME_KEY;eu,paid;acme.example\r\n",
        "name\tkey_env\ttags\texpect\nacme\tACME_KEY\teu;paid\tacme.example\n",
        "sep=,\r\nname,key_env,tags,expect\r\nacme,ACME_KEY,eu paid,acme.example\r\n",
        "sep=|\nname|key_env|tags|expect\nacme|ACME_KEY|eu paid|acme.example\n",
        '"sep=;"\nname;key_env;tags;expect\nacme;ACME_KEY;eu paid;acme.example\n',
        "Name;Key Env;Tags;EXPECT\nacme;ACME_KEY;eu paid;acme.example\n",
        "NAME,KEYENV,TAG,EXPECT\nacme,ACME_KEY,eu paid,acme.example\n",
        " name , keyEnv , tags , expect \n acme , ACME_KEY , eu  paid , acme.example \n",
        "name,key_env,tags,expect,,\nacme,ACME_KEY,eu paid,acme.example,,\n,,,,,\n",
        "\n\nname,key_env,tags,expect\n\nacme,ACME_KEY,eu paid,acme.example\n",
        "name,key_env,tags,expect\racme,ACME_KEY,eu paid,acme.example\r",
        '"name","key_env","tags","expect"\n"acme","ACME_KEY","eu\npaid","acme.example"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_as_spreadsheets_save_it(tmp_path: Path, text: str, encoding: str) -> None:
    """Whatever separates the cells, however the header is capitalised, with a byte order mark or without."""
    assert loaded(tmp_path, "w.csv", text.encode(encoding)) == (ACME, [])


def test_tsv_is_csv(tmp_path: Path) -> None:
    """Some programs name it so."""
    text = "name\tkey_env\ttags\texpect\nacme\tACME_KEY\teu paid\tacme.example\n"
    assert loaded(tmp_path, "w.tsv", text) == (ACME, [])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("owner", ["ignored the column owner: it is not a field"]),
        ("owner,Cost centre", ["ignored the columns owner, Cost centre: they are not a field"]),
    ],
)
def test_columns_that_are_no_field_are_ignored_with_one_notice(tmp_path: Path, columns: str, said: list[str]) -> None:
    """A list has more columns than an audit needs."""
    text = f"name,{columns},key_env\nacme,{'x,' * (columns.count(',') + 1)}ACME_KEY\nb,{',' * columns.count(',')},B\n"
    expected = (Workspace("acme", KeyEnv("ACME_KEY")), Workspace("b", KeyEnv("B")))
    assert loaded(tmp_path, "w.csv", text) == (expected, said)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "w.toml",
            '[[workspace]]\nname = "acme"\nkeyenv = "ACME_KEY"\ntags = ["eu", "paid"]\nexpect = ["acme.example"]',
        ),
        (
            "w.toml",
            '[[Workspaces]]\nName = "acme"\nKEY_ENV = "ACME_KEY"\ntag = ["eu", "paid"]\nexpect = ["acme.example"]',
        ),
        ("w.json", f'{{"workspace": [{{"name": "acme", "keyEnv": "ACME_KEY", "tags": {TAGS}, "expect": {EXPECT}}}]}}'),
        ("w.ndjson", f'{{"name": "acme", "key-env": "ACME_KEY", "tags": {TAGS}, "expect": {EXPECT}}}'),
    ],
)
def test_fields_are_read_however_their_words_are_joined(tmp_path: Path, name: str, text: str) -> None:
    """One meaning each."""
    assert loaded(tmp_path, name, text) == (ACME, [])


HEADERLESS = (
    "line 1: the header has no column `name`. It is a line such as name,key_env,tags,expect "
    "(or with semicolons or tabs)"
)
UNKNOWN = (
    "entry 1: unknown field key_evn (probably key_env): the known ones are name, key_env, key_json, key_file, "
    "key_command, tags, expect"
)
TWO_LISTS = "holds two lists, workspaces and workspace: join them under `workspaces`"
EXPECTS = "line 1: unknown column expects (probably expect): rename or remove it"
TWICE = "the member {!r} comes twice in one object: remove one"
HEADINGS = (
    "names each workspace in its heading: write [[workspaces]] with double brackets above each, and its name as "
    'name = "..."'
)
MISTAKES = [
    ("w.csv", "name,key_env,name\na,A,b\n", "line 1: the column name is there twice: remove one"),
    ("w.csv", "name,key_env,KeyEnv\na,A,B\n", "line 1: the column key_env is there twice: remove one"),
    ("w.csv", "name,key_env,expects\na,A,b.example\n", EXPECTS),
    ("w.csv", "name,key_evn\na,A\n", "line 1: unknown column key_evn (probably key_env): rename or remove it"),
    ("w.csv", "acme,ACME_KEY\n", HEADERLESS),
    ("w.csv", "sep=\r\nname,key_env\r\na,A\r\n", HEADERLESS),
    ("w.csv", "sep=;\nname;key_env\na;A;x\n", "line 3: more cells than the header has"),
    ("w.csv", "name,key_env\n\na,A\nb,B,x\n", "line 4: more cells than the header has"),
    ("w.toml", '[[workspaces]]\nname = "a"\nkey_evn = "A"', UNKNOWN),
    (
        "w.toml",
        '[[workspaces]]\nname = "a"\nkeyenv = "A"\nkey_env = "B"',
        "entry 1: key_env is given twice: remove one",
    ),
    ("w.toml", '[workspaces.acme]\nkey_env = "A"', HEADINGS),
    ("w.toml", '[[workspaces]]\nname="a"\n[[workspace]]\nname="b"', TWO_LISTS),
    (
        "w.toml",
        '[[sites]]\nname="a"',
        "unknown at the top level: sites. Only `workspaces` is read; the list belongs under `workspaces`",
    ),
    ("w.json", '[{"name": "a", "key_env": "A", "name": "b"}]', TWICE.format("name")),
    ("w.json", '{"workspaces": [], "workspaces": []}', TWICE.format("workspaces")),
    ("w.json", "[" * 100_000, "not usable JSON: it is nested too deeply"),
    ("w.json", f"[{'9' * 5000}]", "not usable JSON: an integer has too many digits"),
    (
        "w.json",
        '[{"name": "\\ud83d", "key_env": "A"}]',
        "entry 1: the name holds half of a character (a lone surrogate): write it whole",
    ),
    *(
        (
            "w.json",
            f'[{{"name": "a", "{field}": {value}, "key_env": null}}]',
            f"entry 1 (a): {field} holds half of a character (a lone surrogate): write it whole",
        )
        for field, value in (
            ("key_json", '"\\ud83d#x"'),
            ("key_json", '"KEYS#\\ud83d"'),
            ("key_file", '"\\udce9"'),
            ("key_command", '"pass \\ud83d"'),
            ("key_command", '["pass", "\\ud83d"]'),
            ("tags", '["eu", "\\ud83d"]'),
            ("expect", '["\\ud83d.example"]'),
        )
    ),
    (
        "w.ndjson",
        '{"name": "a", "key_env": "\\ud83d"}',
        "line 1 (a): key_env holds half of a character (a lone surrogate): write it whole",
    ),
    (
        "w.json",
        f'[{{"name": "{KEY}", "key_env": "A"}}]',
        "entry 1: the name holds a key: name the workspace, and treat that key as exposed",
    ),
    ("w.ndjson", '{"name": "a", "tags": [], "tags": []}', f"line 1: {TWICE}".format("tags")),
]


@pytest.mark.parametrize(("name", "text", "problem"), MISTAKES)
def test_what_is_not_certain_is_an_error_that_says_what_was_meant(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    """No workspace is left out in silence."""
    with pytest.raises(WorkspacesFileError) as caught:
        loaded(tmp_path, name, text)
    assert caught.value == WorkspacesFileError(f"{tmp_path / name}: {problem}")


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("w.csv", 'name,key_env\n\na,"A"\n"b",B\n', [3, 4]),
        ("w.csv", "sep=;\nname;key_env\na;A\n", [3]),
        ("w.csv", 'name,key_env,tags\na,A,"x\ny"\nb,B,\n', [2, 4]),
        ("w.ndjson", '\n{"name": "a", "key_env": "A"}\n\n{"name": "b", "key_env": "B"}', [2, 4]),
        ("w.toml", '#\n[[workspaces]]\nname="a"\nkey_env="A"\n  [[ workspaces ]]\nname="b"\nkey_env="B"', [2, 5]),
        ("w.toml", 'workspaces = [{name="a", key_env="A"}]', [None]),
        ("w.json", '[\n {"name": "a", "key_env": "A"},\n\n {"name": "b",\n "key_env": "B"}]', [2, 4]),
        ("w.json", '\n{"workspaces" :\n[ {"name": "a", "key_env": "A"} ]\n}', [3]),
    ],
)
def test_a_workspace_knows_the_line_of_its_entry(tmp_path: Path, name: str, text: str, lines: list[int | None]) -> None:
    """Its first one; None in a TOML file that has no heading for it."""
    assert [workspace.line for workspace in loaded(tmp_path, name, text)[0]] == lines


class Scanned(str):  # noqa: SLOT000 - it counts
    """A text that adds up how many of its characters are searched for line breaks."""

    scanned = 0

    def count(self, text: str, start: int = 0, end: int | None = None, /) -> int:  # type: ignore[override]
        self.scanned += (len(self) if end is None else end) - start
        return super().count(text, start, end)


def test_a_long_list_is_searched_for_lines_once() -> None:
    """The time of a list of 20,000 workspaces is not that of its square."""
    text = Scanned("".join(f'[[workspaces]]\nname = "w{number}"\n' for number in range(100)))
    assert [entry.line for entry in toml_entries(text, print)] == list(range(1, 200, 2))
    assert 0 < text.scanned <= len(text)


def test_standard_input_is_utf_8() -> None:
    """As bytes, with a byte order mark or without."""
    line = '{"name": "M\u00fcller", "key_file": "k"}'
    expected = (Workspace("M\u00fcller", KeyFile("k")),)
    assert load_ndjson(line.encode("utf-8-sig")) == load_ndjson(line) == expected
