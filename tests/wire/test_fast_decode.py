"""The one-pass reader: what it takes, the strict reader takes too, with the same value."""

import json
import subprocess
import sys
from abc import ABCMeta
from datetime import datetime
from typing import Annotated, Any

import attr
import pytest
from attrs import define, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from chatloom_async import Agent, AgentList, AllowedDomains, Response, SchemaMismatchError
from chatloom_async.wire.decode import decode, read_document
from chatloom_async.wire.fast_decode import fast_decoder, reader
from chatloom_async.wire.structure import structure
from tests.samples import AGENT, AGENTS, DOMAINS


def compact(document: object) -> bytes:
    """JSON as a server writes it, without blanks."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


@frozen
class Fleet:
    """Models within models."""

    ships: tuple[AgentList, ...]
    flag: bool


@frozen
class Port:
    """Lists of texts and of numbers."""

    names: tuple[str, ...]
    depths: tuple[int, ...]
    since: tuple[datetime, ...]


@frozen
class Coast:
    """A list of models that hold lists."""

    ports: tuple[Port, ...]


PORT = {"names": ["a", "b", "c"], "depths": [1, 2], "since": ["2026-01-15T09:00:00Z"]}


@frozen
class Optional:
    """Not plain: a field may be left out."""

    name: str = ""


@frozen(kw_only=True)
class Named:
    """Not plain: its field is given by name."""

    name: str


@frozen
class Derived:
    """Not plain: its field is not given at all."""

    name: str = field(init=False)


@frozen
class Choosy:
    """Plain, but with an opinion of its own."""

    name: str = field(converter=lambda text: {"good": "GOOD"}[text])


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (AgentList, AGENTS),
        (AllowedDomains, DOMAINS),
        (Fleet, {"ships": [AGENTS, AGENTS], "flag": True}),
        (Port, PORT),
        (Coast, {"ports": [PORT, {"names": [], "depths": [], "since": []}]}),
    ],
)
def test_a_plain_model_is_read_in_one_pass(model: Any, document: Any) -> None:
    """The value that the strict reader would give, and the number of quotes in the JSON."""
    read = reader(model)
    assert read is not None
    body = compact(document)
    assert read(body) == (structure(document, model), body.count(b'"'))


@pytest.mark.parametrize(
    "model",
    [
        Optional,
        Named,
        Derived,
        tuple[str, ...],
        dict[str, Any],
        Any,
        str,
        frozen(type("Deep", (), {"__annotations__": {"x": tuple[Optional, ...]}})),
    ],
)
def test_anything_else_has_no_fast_decoder(model: Any) -> None:
    """It is the strict reader's business."""
    assert reader(model) is None
    assert fast_decoder(model) is None


@frozen
class Shouted:
    """Plain; what is made of it below is not."""

    name: str


class Undecorated(Shouted):
    """Has an __init__ of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name.upper())


@define
class Assigned:
    """Has a __setattr__ of its own."""

    name: str

    def __setattr__(self, name: str, value: str) -> None:
        object.__setattr__(self, name, value.upper())


@frozen(cache_hash=True)
class Hashed:
    """Keeps more than its fields."""

    name: str


@define
class Problem(Exception):
    """Is made by another __new__ than object's."""

    name: str


@frozen
class Before:
    """Does something first."""

    name: str

    def __attrs_pre_init__(self) -> None:
        pass


@attr.s
class Old:
    """Has no annotations."""

    name = attr.ib(type=str)


@frozen
class Nested:
    """Holds itself."""

    name: str
    nested: "tuple[Nested, ...]"


@frozen
class Checked:
    """Has something to say about its values."""

    name: str = field(validator=lambda *_: None)


@frozen
class Fixed:
    """A tuple that is no list."""

    name: tuple[str, int]


@frozen
class Registered(metaclass=ABCMeta):
    """Is made by another class's __call__."""

    name: str


@define(init=False)
class Bare:
    """Has no __init__ at all."""

    name: str


class Written:
    """Is not of attrs at all."""

    def __init__(self, name: str) -> None: ...


@pytest.mark.parametrize("model", [Checked, Fixed, Registered, Bare, Written, Undecorated, Nested])
def test_what_is_not_plain_is_seen_without_an_exception(model: Any) -> None:
    """So nothing is tried that only happens to fail."""
    assert fast_decoder(model) is None


@pytest.mark.parametrize("model", [Undecorated, Assigned, Hashed, Problem, Before, Old, Nested])
def test_a_model_that_does_more_than_keep_values_is_made_by_itself(model: Any) -> None:
    """Its own way, by the strict reader."""
    assert reader(model) is None
    made = decode(Response(200, {}, b'{"name":"a","nested":[{"name":"b","nested":[]}]}'), model)
    arguments = ("a", (Nested("b", ()),)) if model is Nested else ("a",)
    assert made == model(*arguments) or model is Problem
    assert repr(made) == repr(model(*arguments))
    assert model is not Hashed or hash(made) == hash(model("a"))


@define
class Twice:
    """Two fields of one name in JSON."""

    name: str
    name_: str


@define
class Unknown:
    """A type that is nowhere."""

    name: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


def test_what_is_not_plain_is_left_to_the_strict_reader() -> None:
    """With its value, or its complaint."""
    assert [reader(Twice), reader(Unknown)] == [None, None]
    body = Response(200, {}, b'{"name":"a"}')
    assert decode(body, Twice) == Twice("a", "a")
    assert type(decode(body, Unknown)) is SchemaMismatchError
    assert type(decode(body, Annotated[list[str], {}])) is SchemaMismatchError


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"name": 7},
        {"createdAt": "2026-01-15T09:00:00"},
        {"createdAt": 1768467600},
        {"createdAt": "yesterday"},
        {"name": "\ud800"},
    ],
)
def test_what_does_not_fit_is_left_to_the_strict_reader(change: dict[str, Any]) -> None:
    """No opinion, rather than a wrong one."""
    read = reader(AgentList)
    assert read is not None
    assert read(compact({"agents": [{**AGENT, **change}], "count": 1})) is None


def test_a_plain_answer_does_not_even_load_the_strict_reader() -> None:
    """Which stands on cattrs: a program whose answers are as documented never needs it."""
    code = f"""if True:
        import sys
        from chatloom_async import AgentList, Response
        from chatloom_async.wire.decode import decode
        print(decode(Response(200, {{}}, {compact(AGENTS)!r}), AgentList), "cattrs" in sys.modules)
    """
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    agents = decode(Response(200, {}, compact(AGENTS)), AgentList)
    assert said == f"{agents} False\n"


@pytest.mark.parametrize("count", [True, 1.0, "1", None, 1e30])
def test_an_integer_is_an_integer(count: object) -> None:
    """Neither a boolean nor a number with a point."""
    answer = decode(Response(200, {}, compact({"agents": [AGENT], "count": count})), AgentList)
    assert (type(answer), answer.path) == (SchemaMismatchError, "$.count")


def test_a_converter_that_refuses_leaves_it_to_the_strict_reader() -> None:
    """Whose error names the place."""
    assert decode(Response(200, {}, b'{"name":"good"}'), Choosy) == Choosy("good")
    assert type(decode(Response(200, {}, b'{"name":"bad"}'), Choosy)) is SchemaMismatchError


def test_unknown_members_cost_a_second_look_and_nothing_else() -> None:
    """The API may grow; only a doubled member is an error."""
    grown = compact({"agents": [{**AGENT, "language": "en"}], "count": 1})
    assert decode(Response(200, {}, grown), AgentList) == structure(AGENTS, AgentList)
    doubled = compact(AGENTS)[:-1] + b',"count":1}'
    assert "comes twice" in str(decode(Response(200, {}, doubled), AgentList))


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\n", b"\r", b"  \t"])
def test_a_doubled_member_is_seen_whatever_stands_before_its_colon(blank: bytes) -> None:
    """Its quotes are counted, wherever the colon is."""
    answer = decode(Response(200, {}, b'{"domains"' + blank + b':["a"],"domains":["b"]}'), AllowedDomains)
    assert "comes twice" in str(answer)


@pytest.mark.parametrize("moment", ["2025-12-31T23:59:59.9999999Z", "2026-01-01T00:00:00.1234567+01:00"])
def test_both_readers_agree_on_more_than_microseconds(moment: str) -> None:
    """Whichever of them an answer comes to."""
    document = {"agents": [{**AGENT, "createdAt": moment}], "count": 1}
    assert decode(Response(200, {}, compact(document)), AgentList) == structure(document, AgentList)


text = st.text(max_size=20) | st.sampled_from(['":', '"', "\\", "é", "\u2028"])
moments = st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | st.just("2026-01-15T09:00:00.000Z")
agents = st.fixed_dictionaries({**dict.fromkeys(AGENT, text), "createdAt": moments})


@given(st.lists(agents, max_size=4), st.booleans())
def test_both_readers_agree(listed: list[dict[str, Any]], spaced: bool) -> None:
    """On any list of agents, however it is written."""
    document = {"agents": listed, "count": len(listed)}
    body = json.dumps(document).encode() if spaced else compact(document)
    response = Response(200, {}, body)
    assert decode(response, AgentList) == structure(read_document(response), AgentList)
    assert all(isinstance(agent, Agent) for agent in decode(response, AgentList))
