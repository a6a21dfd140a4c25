"""What OpenTelemetry is told of a call: one span, one measurement for each request on the wire, and no secret."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from chatloom_async import (
    ApiKey,
    AsyncChatloom,
    ClientClosedError,
    ConnectError,
    InvalidAgentIdError,
    ListAgents,
    MockTransport,
    NotFoundError,
    Request,
    Response,
    RetryPolicy,
    Sandbox,
    SchemaMismatchError,
    ServerError,
    UsageError,
)
from chatloom_async.contrib.opentelemetry import InstrumentedChatloom, Telemetry
from chatloom_async.testing import VirtualClock
from chatloom_async.wire.version import VERSION
from tests.samples import KEY, OTHER_KEY, answer, api, failure, in_turn

LIST = {
    "http.request.method": "GET",
    "url.template": "/api/plugin/agents",
    "server.address": "chatloom.app",
    "server.port": 443,
}
WHOSE = {"chatloom.key": ApiKey(KEY).fingerprint}
DOMAINS = {**LIST, "url.template": "/api/plugin/agents/{agent_id}/allowed-domains"}


class Told:
    """Everything that was told, and providers that take it."""

    def __init__(self) -> None:
        self._exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))

    def client(self, *arguments: Any, **options: Any) -> InstrumentedChatloom:
        class Observed(InstrumentedChatloom):
            telemetry = Telemetry(self.tracers, self.meters)

        return Observed(*arguments, **options)

    @property
    def spans(self) -> list[Any]:
        return list(self._exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    @property
    def points(self) -> list[tuple[str, dict[str, Any], float]]:
        """Each metric's name, attributes, and sum or count (of a histogram), in no order."""
        data: Any = self.reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else []) for scope in resource.scope_metrics]
        return [
            (metric.name, dict(point.attributes), getattr(point, "count", None) or point.value)
            for scope in scopes
            for metric in scope.metrics
            for point in metric.data.data_points
        ]


@pytest.fixture
def told() -> Iterator[Told]:
    """Providers of this test alone."""
    told = Told()
    yield told
    told.tracers.shutdown()
    told.meters.shutdown()


async def test_a_call_is_one_client_span(told: Told) -> None:
    """Named after method and path template, with an event and a measurement for its only attempt."""
    await told.client(KEY, transport=MockTransport(api)).get_allowed_domains("agt_abc123")
    (span,) = told.spans
    (event,) = span.events
    assert (span.name, span.kind, span.status.status_code) == (
        "GET /api/plugin/agents/{agent_id}/allowed-domains",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert dict(span.attributes) == {**DOMAINS, **WHOSE, "http.response.status_code": 200}
    assert (event.name, dict(event.attributes)) == (
        "chatloom.attempt",
        {
            "http.response.status_code": 200,
            "chatloom.attempt.waited": pytest.approx(0, abs=0.5),
            "chatloom.attempt.elapsed": pytest.approx(0, abs=0.5),
        },
    )
    assert told.points == [("http.client.request.duration", {**DOMAINS, "http.response.status_code": 200}, 1)]


async def test_the_package_signs_what_it_tells(told: Told) -> None:
    """With its name and version, as backends group by them."""
    await told.client(KEY, transport=MockTransport(api)).list_agents()
    data: Any = told.reader.get_metrics_data()
    scopes = [told.spans[0].instrumentation_scope, data.resource_metrics[0].scope_metrics[0].scope]
    assert [(scope.name, scope.version) for scope in scopes] == [("chatloom_async", VERSION)] * 2


async def test_every_attempt_is_an_event_and_a_measurement_and_every_retry_is_counted(told: Told) -> None:
    """At the moments at which they were sent, with what came of them."""
    clock = VirtualClock()

    def slow(request: Request) -> Response:
        clock.advance(0.3)
        return api(request)

    transport = in_turn(failure(503), ConnectError("no route"), then=slow)
    retry = RetryPolicy(random=lambda: 0.5)
    await told.client(KEY, transport=transport, retry=retry, clock=clock).list_agents()
    (span,) = told.spans
    assert dict(span.attributes) == {
        **LIST,
        **WHOSE,
        "http.response.status_code": 200,
        "http.request.resend_count": 2,
    }
    assert [dict(event.attributes) for event in span.events] == [
        {"http.response.status_code": 503, "error.type": "503", **_times(0.0)},
        {"error.type": "ConnectError", **_times(0.0)},
        {"http.response.status_code": 200, **_times(0.3)},
    ]
    assert [(event.timestamp - span.start_time) / 1e9 for event in span.events] == [
        pytest.approx(moment, abs=1e-6) for moment in (0.0, 0.125, 0.375)
    ]
    assert sorted(told.points, key=repr) == sorted(
        [
            ("http.client.request.duration", {**LIST, "http.response.status_code": 503, "error.type": "503"}, 1),
            ("http.client.request.duration", {**LIST, "http.response.status_code": 200}, 1),
            ("chatloom.client.retries", {**LIST, "http.response.status_code": 503, "error.type": "503"}, 1),
            ("chatloom.client.retries", {**LIST, "error.type": "ConnectError"}, 1),
        ],
        key=repr,
    )


def _times(elapsed: float) -> dict[str, Any]:
    return {"chatloom.attempt.waited": 0.0, "chatloom.attempt.elapsed": pytest.approx(elapsed)}


ENDS: list[tuple[Any, type[Exception], dict[str, Any]]] = [
    (
        failure(404, f"no {KEY}"),
        NotFoundError,
        {"http.response.status_code": 404, "error.type": "404", "chatloom.stop_reason": "not_retryable"},
    ),
    (
        failure(500),
        ServerError,
        {"http.response.status_code": 500, "error.type": "500", "chatloom.stop_reason": "disabled"},
    ),
    (ConnectError("no"), ConnectError, {"error.type": "ConnectError", "chatloom.stop_reason": "disabled"}),
    (
        answer({"agents": None, "count": 0}),
        SchemaMismatchError,
        {"http.response.status_code": 200, "error.type": "SchemaMismatchError"},
    ),
    (RuntimeError(f"a bug with {KEY}"), RuntimeError, {"error.type": "RuntimeError"}),
]


@pytest.mark.parametrize(("outcome", "error", "attributes"), ENDS)
async def test_a_failed_call_is_a_failed_span(
    told: Told, outcome: Any, error: type[Exception], attributes: dict[str, Any]
) -> None:
    """With the status as the error's type where the API answered with an error, else its class; and no text at all."""
    with pytest.raises(error):
        await told.client(KEY, transport=in_turn(outcome), retry=None).list_agents()
    (span,) = told.spans
    whose = {} if error is RuntimeError else WHOSE  # a transport's own bug is no attempt
    assert dict(span.attributes) == {**LIST, **whose, **attributes}
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert "SECRET" not in span.to_json()


async def test_a_span_says_whose_call_it_was(told: Told) -> None:
    """By the label that the program chose, and the key's fingerprint. Metrics do not: each key would be a series."""
    client = told.client(KEY, transport=MockTransport(api)).with_key(OTHER_KEY, label="acme")
    await client.list_agents()
    (span,) = told.spans
    whose = {"chatloom.label": "acme", "chatloom.key": ApiKey(OTHER_KEY).fingerprint}
    assert dict(span.attributes) == {**LIST, **whose, "http.response.status_code": 200}
    assert [attributes for _, attributes, _ in told.points] == [{**LIST, "http.response.status_code": 200}]


async def test_a_cancelled_call_ends_its_span(told: Told) -> None:
    """Nothing stays open."""
    never = asyncio.Event()

    async def handler(request: Request) -> Response:
        await never.wait()
        return api(request)

    call = asyncio.create_task(told.client(KEY, transport=MockTransport(handler)).list_agents())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [dict(span.attributes) for span in told.spans] == [{**LIST, "error.type": "CancelledError"}]


async def test_what_was_never_sent_is_not_measured(told: Told) -> None:
    """An unsafe id, or a client that is closed: a failed span, but no request."""
    client = told.client(KEY, transport=MockTransport(api), base_url="http://localhost")
    with pytest.raises(InvalidAgentIdError):
        await client.get_allowed_domains("../x")
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await client.list_agents()
    assert [(span.attributes["error.type"], span.attributes["server.port"]) for span in told.spans] == [
        ("InvalidAgentIdError", 80),
        ("ClientClosedError", 80),
    ]
    assert told.points == []


async def test_a_class_in_place_of_an_endpoint_is_pointed_out_as_ever(told: Told) -> None:
    """It is not a call, so there is no span."""
    with pytest.raises(UsageError):
        await told.client(KEY, transport=MockTransport(api)).send(ListAgents)  # type: ignore[arg-type]
    assert told.spans == []


async def test_clones_are_observed_too(told: Told) -> None:
    """Each with its own key and options."""
    transport = MockTransport(api)
    client = told.client(KEY, transport=transport)
    await client.with_key(OTHER_KEY).with_options(base_url="http://127.0.0.1:8080/chatloom").list_agents()
    (span,) = told.spans
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", 8080)
    assert transport.requests[0].headers["Authorization"] == f"Bearer {OTHER_KEY}"


async def test_a_call_belongs_to_the_span_around_it(told: Told) -> None:
    """As the request of a web service that makes it."""
    client = told.client(KEY, transport=MockTransport(api))
    with told.tracers.get_tracer("service").start_as_current_span("GET /mine") as around:
        await client.list_agents()
    assert told.spans[0].parent == around.get_span_context()


@pytest.fixture
def instrumented_aiohttp(told: Told) -> Iterator[None]:
    """OpenTelemetry's own instrumentation of aiohttp, switched on as a user would."""
    AioHttpClientInstrumentor().instrument(tracer_provider=told.tracers, meter_provider=told.meters)
    yield
    AioHttpClientInstrumentor().uninstrument()


@pytest.mark.usefixtures("instrumented_aiohttp")
async def test_nothing_is_counted_twice_beside_the_instrumentation_of_aiohttp(told: Told) -> None:
    """Its span and its measurement for the same request are suppressed; those of the plain client are not."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=1)
    async with sandbox.serve() as url:
        async with told.client(acme.key, base_url=url) as client:
            acme.fails(503)
            await client.list_agents()
        assert told.names == ["GET /api/plugin/agents"]
        assert {name for name, _, _ in told.points} == {"http.client.request.duration", "chatloom.client.retries"}
        async with AsyncChatloom(acme.key, base_url=url) as plain:
            await plain.list_agents()
    assert told.names == ["GET /api/plugin/agents", "GET"]


@pytest.mark.usefixtures("instrumented_aiohttp")
async def test_requests_of_a_key_provider_stay_visible(told: Told) -> None:
    """Only the client's own requests are suppressed; those of the provider are inside of the call's span."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=1)
    async with sandbox.serve() as url, aiohttp.ClientSession() as vault:

        async def provider(*, force_refresh: bool = False) -> str:
            async with vault.get(url):
                return acme.key.reveal()

        async with told.client(provider, base_url=url) as client:
            await client.list_agents()
    inner, outer = told.spans
    assert (inner.name, outer.name) == ("GET", "GET /api/plugin/agents")
    assert inner.parent == outer.get_span_context()


async def test_the_transport_is_still_the_clients_to_close(told: Told) -> None:
    """A borrowed one is left open, one of the client's own is closed; a forgotten close would be a ResourceWarning."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=1)
    async with sandbox.serve() as url:
        client = told.client(acme.key, base_url=url)
        await client.list_agents()
        await client.list_agents()
        transport: Any = client._shared.transport
        assert type(transport.inner).__name__ == "AiohttpTransport"
        await client.aclose()
        assert transport.inner._exchanges.closed


WITHOUT = """
import asyncio, sys
sys.modules["opentelemetry.instrumentation"] = None
sys.modules["opentelemetry.instrumentation.utils"] = None
from chatloom_async import MockTransport, Response
from chatloom_async.contrib.opentelemetry import InstrumentedChatloom as AsyncChatloom
transport = MockTransport(lambda request: Response(200, {}, b'{"agents": [], "count": 0}'))
print(asyncio.run(AsyncChatloom("clf_1", transport=transport).list_agents()))
"""


def test_the_api_package_alone_is_enough() -> None:
    """Without an SDK, and without any instrumentation: a library's users need not have them."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout == "AgentList(agents=(), count=0)\n"


def test_nobody_pays_who_does_not_ask_for_it() -> None:
    """Neither the package nor its client imports OpenTelemetry."""
    code = (
        "import sys; from chatloom_async import *; from chatloom_async.contrib import asgi; "
        "assert not [name for name in sys.modules if 'opentelemetry' in name or 'starlette' in name]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
