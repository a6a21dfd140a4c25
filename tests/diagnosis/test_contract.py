"""The documentation's promises, each kept by the sandbox and broken by hand, and what cannot be judged."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from chatloom_async import ApiKey, ConnectError, ConnectionLostError, MockTransport, Request, Response, Sandbox
from chatloom_async.diagnosis.contract import CHECKS, check_contract
from chatloom_async.diagnosis.journal import Journal, JournalTransport
from chatloom_async.diagnosis.observation import Observation, TimeLimit, ok, skipped, warning, wrong
from chatloom_async.transports.interface import Transport
from tests.samples import AGENT, DOMAINS, KEY, answer, failure

ADDRESS = "https://chatloom.app"
REDIRECT = Response(301, {"Location": "https://chatloom.app/api/plugin/agents"})
OLDER = {**AGENT, "id": "agt_older", "createdAt": "2026-01-14T09:00:00.000Z"}
NO_KEY = "API key is required. Please provide it in Authorization or X-API-Key header."
KEPT = {promise.subject: ok(promise.subject, promise.passed) for promise in CHECKS}


async def told(transport: Transport, address: str = ADDRESS, key: str = KEY) -> list[Observation]:
    """Every line, without the chapter, which is the same for all."""
    transport = JournalTransport(transport, Journal(), lambda: datetime.now(UTC))
    lines = await check_contract(address, ApiKey(key), transport, TimeLimit(9))
    assert {line.chapter for line in lines} == {"contract"}
    return [evolve(line, chapter="way") for line in lines]


def question(request: Request) -> str:
    """What an API would make of a request."""
    if request.url.startswith("http:"):
        return "plain http"
    agents = request.url.endswith("/agents")
    if request.headers.get("x-api-key") == KEY:
        return "x-api-key"
    given = request.headers.get("authorization")
    if given == f"Bearer {KEY}":
        return "agents" if agents else "unknown agent" if "made_up" in request.url else "domains"
    return {None: "no key"}.get(given, "unknown key" if "clf_" in str(given) else "misshapen key")


def documented(agents: Any = (AGENT, OLDER)) -> dict[str, Any]:
    """The documentation's answer to each question."""
    listed = answer({"agents": list(agents), "count": len(agents)})
    return {
        "agents": listed,
        "x-api-key": listed,
        "no key": failure(401, NO_KEY),
        "unknown key": failure(401),
        "misshapen key": failure(401),
        "unknown agent": failure(404),
        "domains": answer(DOMAINS),
        "plain http": REDIRECT,
    }


async def deviations(**changed: Any) -> list[Observation]:
    """What is not kept where some answers are others; names are written with underscores."""
    answers = {**documented(), **{name.replace("_", " "): value for name, value in changed.items()}}
    lines = await told(MockTransport(lambda request: answers[question(request)]))
    return [line for line in lines if line not in KEPT.values()]


def lists(*agents: Any, **members: Any) -> dict[str, Any]:
    """These agents, by either header."""
    given = answer({"agents": list(agents), "count": len(agents), **members})
    return {"agents": given, "x-api-key": given}


async def listing(*agents: Any, **members: Any) -> list[Observation]:
    """What is not kept where the list is this one."""
    return await deviations(**lists(*agents, **members))


async def test_every_promise_is_kept() -> None:
    """By answers as the documentation shows them: one line each, in the table's order."""
    answers = documented()
    transport = MockTransport(lambda request: answers[question(request)])
    assert await told(transport) == list(KEPT.values())
    assert [question(request) for request in transport.requests] == list(answers)
    redirected = transport.requests[-1]
    assert (redirected.url, set(redirected.headers)) == (
        "http://chatloom.app/api/plugin/agents",
        {"Accept", "User-Agent"},
    )


async def test_the_sandbox_keeps_every_promise() -> None:
    """It was written from the same page. It is not asked for redirects, since it is on this machine."""
    acme = Sandbox(seed=7, trouble=0)
    key = acme.add_workspace("acme", agents=3).key
    lines = await told(acme.transport(), "http://127.0.0.1:1", key.reveal())
    assert lines == [*list(KEPT.values())[:-1], skipped("plain http", "not judged: the host is this machine")]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://localhost", "the host is this machine"),
        ("https://[::1]:8443", "the host is this machine"),
        ("https://chatloom.app:8443", "the base URL has a port of its own"),
    ],
)
async def test_redirects_are_asked_for_where_that_makes_sense(address: str, why: str) -> None:
    """Otherwise not even a request without a key goes out in the clear."""
    answers = documented()
    transport = MockTransport(lambda request: answers[question(request)])
    assert (await told(transport, address))[-1] == skipped("plain http", f"not judged: {why}")
    assert [request.url for request in transport.requests if request.url.startswith("http:")] == []


@pytest.mark.parametrize(
    ("agents", "members", "lines"),
    [
        (
            [{**AGENT, "language": "de"}, {**OLDER, "language": "en"}],
            {"next": None},
            [
                warning("agents", "next is not documented"),
                warning("agents", "agents[].language is not documented (in 2 of 2 agents)"),
            ],
        ),
        (
            [{name: value for name, value in AGENT.items() if name != "template"}, {**OLDER, "name": None}],
            {},
            [
                wrong("agents", "agents[].template is missing (in 1 of 2 agents)"),
                wrong("agents", "agents[].name is not a string (in 1 of 2 agents)"),
            ],
        ),
        ([AGENT, OLDER], {"count": True}, [
            wrong("agents", "count is not an integer"),
            wrong("count", "count is True, but the list has 2"),
        ]),
        ([AGENT, OLDER], {"count": 3}, [wrong("count", "count is 3, but the list has 2")]),
        ([OLDER, AGENT], {}, [wrong("order", "agt_older comes before agt_abc123, which was created later")]),
        (
            [{**AGENT, "position": "center\x1b[31m", "status": "paused"}, {**OLDER, "primaryColor": "purple"}],
            {},
            [
                warning(
                    "values",
                    "agents[].position is 'center [31m', documented is 'one of bottom-right, bottom-left, top-right, "
                    "top-left' (in 1 of 2 agents)",
                ),
                warning("values", "agents[].status is 'paused', documented is 'usually active' (in 1 of 2 agents)"),
                wrong("values", "agents[].primaryColor is 'purple', documented is 'a hex color' (in 1 of 2 agents)"),
            ],
        ),
        (
            [{**AGENT, "createdAt": "2026-01-15"}, {**OLDER, "createdAt": "today"}],
            {},
            [
                wrong("values", "agents[].createdAt is '2026-01-15', documented is 'ISO 8601' (in 1 of 2 agents)"),
                wrong("values", "agents[].createdAt is 'today', documented is 'ISO 8601' (in 1 of 2 agents)"),
                skipped("order", "not judged: fewer than two agents"),
            ],
        ),
        (
            [{**AGENT, "language": "de"}],
            {},
            [
                warning("agents", "agents[].language is not documented"),
                skipped("order", "not judged: fewer than two agents"),
            ],
        ),
        ([AGENT], {}, [skipped("order", "not judged: fewer than two agents")]),
        ([], {}, [
            skipped("order", "not judged: fewer than two agents"),
            skipped("domains", "not judged: the workspace has no agents"),
        ]),
        (
            ["agt_abc123"],
            {},
            [
                skipped("order", "not judged: fewer than two agents"),
                warning("domains", "not judged: the first agent has no id that could be asked for"),
            ],
        ),
        (
            [{**AGENT, "id": "../../keys"}, OLDER],
            {},
            [warning("domains", "not judged: the first agent has no id that could be asked for")],
        ),
    ],
)  # fmt: skip
async def test_lists_that_deviate(agents: list[Any], members: dict[str, Any], lines: list[Observation]) -> None:
    """What is new is a warning, what is missing or different is wrong; the same deviation is told once."""
    assert await listing(*agents, **members) == lines


async def test_a_list_that_is_none() -> None:
    """What is below it cannot be judged, and nothing is made up."""
    given = answer({"agents": None, "count": 0})
    assert await deviations(**{"agents": given, "x-api-key": given}) == [
        wrong("agents", "agents is not an array"),
        skipped("order", "not judged: fewer than two agents"),
        warning("domains", "not judged: the first agent has no id that could be asked for"),
    ]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (failure(403), "HTTP 403, documented is 200"),
        (answer([]), "the answer is not a JSON object"),
        (answer({}, 200), "agents is missing"),
        (Response(200, {"content-type": "application/json"}, b"{"), "the answer is not a JSON object"),
    ],
)
async def test_an_answer_that_is_not_the_documented_one(given: Response, why: str) -> None:
    """Is said once, where the list itself is judged."""
    lines = await deviations(**{"agents": given, "x-api-key": given})
    assert next(line.found for line in lines if line.state == "wrong") == why


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (answer({"domains": [1]}), [wrong("domains", "domains[] does not hold strings only")]),
        (answer({"domains": None}), [wrong("domains", "domains is not an array")]),
        (answer({**DOMAINS, "count": 2}), [warning("domains", "count is not documented")]),
        (failure(404), [wrong("domains", "HTTP 404, documented is 200")]),
    ],
)
async def test_domains_that_deviate(given: Response, lines: list[Observation]) -> None:
    """The second endpoint, for the first agent."""
    assert await deviations(domains=given) == lines


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        (
            {"no_key": failure(401, "Unauthorized")},
            [wrong("no key", f"the text is 'Unauthorized', documented is {NO_KEY!r}")],
        ),
        ({"no_key": failure(403)}, [wrong("no key", "HTTP 403, documented is 401")]),
        (
            {"unknown_key": answer({"message": "no"}, 401), "misshapen_key": answer(["no"], 401)},
            [
                wrong("bad key", 'unknown key: the answer is not of the form {"error": "..."}'),
                wrong("bad key", 'misshapen key: the answer is not of the form {"error": "..."}'),
            ],
        ),
        (
            {"unknown_agent": answer({"error": "no", "code": 7}, 404)},
            [warning("unknown agent", "undocumented members next to error: code")],
        ),
        ({"x-api-key": failure(401)}, [wrong("both headers", "HTTP 200 for Authorization, 401 for X-API-Key")]),
        (
            {"x-api-key": answer({"agents": [], "count": 0})},
            [wrong("both headers", "the lists differ; it may have changed between the two requests: try again")],
        ),
        (
            {"unknown_agent": Response(404, {"content-type": "text/html"}, json.dumps({"error": "no"}).encode())},
            [wrong("content type", "'text/html' where the question was: unknown agent")],
        ),
        ({"plain_http": answer({})}, [wrong("plain http", "plain http is answered with HTTP 200, not redirected")]),
        (
            {"plain_http": Response(302, {"location": "http://portal.example/?token=x"})},
            [wrong("plain http", "plain http is redirected to http://portal.example, which is not https")],
        ),
    ],
)
async def test_other_answers_that_deviate(changed: dict[str, Any], lines: list[Observation]) -> None:
    """Statuses, errors, headers, content types, redirects."""
    assert await deviations(**changed) == lines


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (ConnectError("No way", reason="refused"), "No way"),
        (failure(429), "the API answered 429; try again later"),
        (failure(500), "the API answered 500; try again later"),
    ],
)
async def test_what_cannot_be_judged_is_not_condemned(given: Any, why: str) -> None:
    """It is a warning that says why."""
    assert await deviations(no_key=given) == [warning("no key", f"not judged: {why}")]


async def test_a_connection_that_was_stale_is_no_answer() -> None:
    """The question is put once more, as the client would; not a third time, nor where an answer had begun."""
    lost, begun = ConnectionLostError("Lost"), ConnectionLostError("Lost", received=True)
    for outcomes, lines in (
        ([lost], []),
        ([lost, lost], [warning("no key", "not judged: Lost")]),
        ([begun], [warning("no key", "not judged: Lost")]),
    ):
        pending = list(outcomes)
        answers = documented()

        def api(request: Request, pending: list[Any] = pending, answers: dict[str, Any] = answers) -> Any:
            return pending.pop() if pending and question(request) == "no key" else answers[question(request)]

        assert [line for line in await told(MockTransport(api)) if line not in KEPT.values()] == lines


async def test_without_a_list_only_the_errors_are_judged() -> None:
    """Each of the others says why it is not."""
    lines = await deviations(agents=failure(500))
    subjects = ["agents", "values", "order", "count", "domains", "both headers"]
    assert lines == [warning(each, "not judged: the API answered 500; try again later") for each in subjects]


async def test_the_time_limit_holds() -> None:
    """What is not answered in time is not judged."""
    silent: Callable[..., Any] = lambda _: asyncio.get_running_loop().create_future()  # noqa: E731
    transport = JournalTransport(MockTransport(silent), Journal(), lambda: datetime.now(UTC))
    lines = await check_contract(ADDRESS, ApiKey(KEY), transport, TimeLimit(0.02))
    why = {promise.subject: "the time limit of 0.02 s was up" for promise in CHECKS}
    why["content type"] = "there is no answer"
    assert lines == [evolve(warning(each, f"not judged: {why[each]}"), chapter="contract") for each in why]
