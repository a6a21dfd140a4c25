"""OpenTelemetry spans and metrics for each call. Needs the extra [otel]. No other module imports this file.

Attributes are a fixed list of names and numbers: no URL, header, server text or key. Spans carry the key's fingerprint
and label. Metrics do not, because each key would become its own series.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

from ..client import AsyncChatloom
from ..transports.interface import Transport
from ..wire.endpoint import Endpoint
from ..wire.errors import Attempt, ChatloomError, TransportError, needed_by
from ..wire.message import Exchange, Request, Response
from ..wire.version import VERSION

with needed_by("InstrumentedChatloom", "opentelemetry", extra="otel"):
    from opentelemetry import metrics, trace

try:
    from opentelemetry.instrumentation.utils import suppress_http_instrumentation
except ImportError:  # without it, no request can be counted twice
    suppress_http_instrumentation = nullcontext  # type: ignore[assignment]

__all__ = ["InstrumentedChatloom", "Telemetry"]

T = TypeVar("T")
Attributes = dict[str, Any]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds, as OpenTelemetry's conventions for `http.client.request.duration` want them."""


class Telemetry:
    """Where spans and metrics go: the given providers, or the global ones."""

    def __init__(
        self, tracer_provider: trace.TracerProvider | None = None, meter_provider: metrics.MeterProvider | None = None
    ) -> None:
        self.tracer: trace.Tracer = trace.get_tracer("chatloom_async", VERSION, tracer_provider)
        meter = metrics.get_meter("chatloom_async", VERSION, meter_provider)
        self.duration: metrics.Histogram = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self.retries: metrics.Counter = meter.create_counter(
            "chatloom.client.retries", "{retry}", "Requests that were sent again."
        )

    def record(self, span: trace.Span, began: int, operation: Mapping[str, Any], attempts: Sequence[Attempt]) -> None:
        """Records an event and a measurement for each attempt. `began` is the call's start, in ns since 1970."""
        for attempt in attempts:
            outcome = _outcome(attempt.status, attempt.error)
            sent = attempt.started + attempt.waited
            seconds = {"chatloom.attempt.waited": attempt.waited, "chatloom.attempt.elapsed": attempt.elapsed}
            span.add_event("chatloom.attempt", {**outcome, **seconds}, began + int(sent * 1e9))
            if attempt.status is not None or attempt.elapsed > 0:  # else it ended before anything was sent
                self.duration.record(attempt.elapsed, {**operation, **outcome})
            if attempt is not attempts[-1]:
                self.retries.add(1, {**operation, **outcome})


class InstrumentedChatloom(AsyncChatloom):
    """An AsyncChatloom with OpenTelemetry. Use it instead of AsyncChatloom:

        from chatloom_async.contrib.opentelemetry import InstrumentedChatloom as AsyncChatloom

    Each call is one CLIENT span with an event for each attempt; `chatloom.key` and `chatloom.label` are those of its
    `Attempt`s. Each attempt that was sent is measured in `http.client.request.duration`; each retry is counted in
    `chatloom.client.retries`. Other names follow the semantic conventions for HTTP. aiohttp's instrumentation (0.60b0
    or later) is suppressed for these requests, so nothing is counted twice, and no trace context is sent to the API.
    Requests of a key provider stay visible.
    For providers other than the global ones, set `telemetry` in a subclass.
    """

    telemetry: ClassVar[Telemetry] = Telemetry()

    @staticmethod
    def wrap_transport(transport: Transport) -> Transport:
        return QuietTransport(transport)

    async def exchange(self, endpoint: Endpoint[T]) -> Exchange[T]:
        if not isinstance(endpoint, Endpoint):
            return await super().exchange(endpoint)  # type: ignore[unreachable]  # it knows what to say to that
        operation, telemetry = _operation(endpoint, self._options.base_url), self.telemetry
        attributes = operation if self._label is None else {**operation, "chatloom.label": self._label}
        name, kind, began = f"{endpoint.method} {endpoint.path}", trace.SpanKind.CLIENT, time.time_ns()
        span = telemetry.tracer.start_span(name, kind=kind, attributes=attributes, start_time=began)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                exchange = await super().exchange(endpoint)
            except BaseException as error:
                attempts = error.attempts if isinstance(error, ChatloomError) else ()
                telemetry.record(span, began, operation, attempts)
                span.set_attributes(_ended(attempts, error))
                span.set_status(trace.StatusCode.ERROR)
                raise
            telemetry.record(span, began, operation, exchange.attempts)
            span.set_attributes(_ended(exchange.attempts, None))
            return exchange


@frozen
class QuietTransport:
    """A transport that suppresses the instrumentation of HTTP clients."""

    inner: Transport

    async def send(self, request: Request) -> Response | TransportError:
        with suppress_http_instrumentation():
            return await self.inner.send(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def _operation(endpoint: Endpoint[object], base_url: str) -> Attributes:
    url = urlsplit(base_url)
    return {
        "http.request.method": endpoint.method,
        "url.template": endpoint.path,
        "server.address": url.hostname,
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }


def _outcome(status: int | None, error: BaseException | None) -> Attributes:
    # The status as text if the API answered, else the class, as the conventions ask.
    kind = None if error is None else str(getattr(error, "status", type(error).__name__))
    attributes = {"http.response.status_code": status, "error.type": kind}
    return {name: value for name, value in attributes.items() if value is not None}


def _ended(attempts: Sequence[Attempt], error: BaseException | None) -> Attributes:
    """How a call ended: like its last attempt, unless an error came after it."""
    attributes = _outcome(attempts[-1].status if attempts else None, error)
    if attempts and attempts[-1].key:
        attributes["chatloom.key"] = attempts[-1].key
    if len(attempts) > 1:
        attributes["http.request.resend_count"] = len(attempts) - 1
    if reason := getattr(error, "stop_reason", None):
        attributes["chatloom.stop_reason"] = reason
    return attributes
