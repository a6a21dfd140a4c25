# ruff: noqa: E501  # a table
"""The fault table: what goes wrong, what the caller gets for it, and how many requests that costs. Source: faults.md.

An attempt that must not be made costs a request, so `requests` says too whether the fault is retried: 1 is not at
all, 2 once, 3 as a transient failure, 6 as throttling.
"""

import asyncio
import gzip
import json
import socket
from typing import Any

import aiohttp.http_parser
from attrs import field, frozen

from chatloom_async import (
    APIStatusError,
    AttemptTimeoutError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    Endpoint,
    GetAllowedDomains,
    InvalidAgentIdError,
    InvalidApiKeyError,
    InvalidBaseUrlError,
    ListAgents,
    NotFoundError,
    NotJSONError,
    PayloadError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    RedirectRefusedError,
    ResponseTooLargeError,
    RetryPolicy,
    SchemaMismatchError,
    ServerError,
    Timeouts,
    TLSError,
)
from chatloom_async.testing import VirtualClock
from tests.faults import scenes
from tests.faults.scenes import SceneMaker, plays
from tests.faults.subjects import Drive, after_close, cancelled, close_under_way, once, outer_timeout, times, two_loops
from tests.raw_server import FIN, RST, SILENCE, Loop, http
from tests.samples import AGENT, AGENTS

KEY = "clf_canary-0f1e2d3c4b5a"
PURE_PYTHON = aiohttp.http_parser.HttpResponseParser is aiohttp.http_parser.HttpResponseParserPy

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
UNTIL_EOF = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 150
BODY = json.dumps(AGENTS).encode()
GZIPPED = gzip.compress(BODY)
CLOCKED: dict[str, Any] = {"clock": VirtualClock, "deadline": 600.0}
PATIENT_READER: dict[str, Any] = {"timeouts": Timeouts(read=5.0, attempt=0.3)}
PATIENT = RetryPolicy(base=10.0, random=lambda: 1.0)


@frozen
class Row:
    """One fault. `attributes` are those of the error, or of the answer where there is no error.

    `options` are for AsyncChatloom, `plain` for aiohttp's session. `python` holds what differs with aiohttp's parser
    in pure Python.
    """

    number: int
    fault: str
    scene: SceneMaker
    error: type[BaseException] | None = None
    attributes: dict[str, Any] = field(factory=dict)
    requests: int = 1
    endpoint: Endpoint[Any] = ListAgents()  # noqa: RUF009  # frozen
    options: dict[str, Any] = field(factory=dict)
    plain: dict[str, Any] = field(factory=dict)
    drive: Drive = once
    key: str = field(default=KEY, repr=False)
    python: dict[str, Any] = field(factory=dict)
    waits_at_least: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.number} {self.fault}"


def document(body: object, *headers: str) -> SceneMaker:
    """A server whose answer is this JSON, or these bytes."""
    return plays((http(body if isinstance(body, bytes) else json.dumps(body).encode(), "200 OK", *headers),))


def status(code: int, body: bytes = b'{"error": "as documented"}', *headers: str) -> SceneMaker:
    """A server whose answer has this status."""
    return plays((http(body, f"{code} Scripted", *headers),))


def agents(**changes: Any) -> SceneMaker:
    """A server that lists one agent, with something odd about it."""
    return document({"agents": [{**AGENT, **changes}], "count": 1})


CONNECTING = [
    Row(1, "connection refused", scenes.refused, ConnectError, {"reason": "refused", "sent": False}, 0),
    Row(
        2,
        "host does not exist",
        scenes.no_such_host(socket.EAI_NONAME),
        ConnectError,
        {"reason": "dns", "sent": False},
        0,
    ),
    Row(
        3,
        "name server is out",
        scenes.no_such_host(socket.EAI_AGAIN),
        ConnectError,
        {"reason": "dns", "sent": False},
        0,
    ),
    Row(3, "name server is silent", scenes.slow_names, AttemptTimeoutError, {"reason": "connect", "sent": False}, 0),
    Row(4, "SYN without an answer", scenes.black_hole, AttemptTimeoutError, {"reason": "connect", "sent": False}, 0),
    Row(6, "untrusted CA", scenes.tls(trusted=False), TLSError, {"reason": "certificate", "sent": False}, 0),
    Row(7, "certificate of another host", scenes.tls(host="other.example"), TLSError, {"reason": "certificate"}, 0),
    Row(8, "expired certificate", scenes.tls(expired=True), TLSError, {"reason": "certificate"}, 0),
    Row(9, "no TLS version in common", scenes.tls(old=True), ConnectError, {"reason": "handshake", "sent": False}, 0),
    Row(10, "closed in the handshake", scenes.no_tls(FIN), ConnectError, {"reason": "handshake", "sent": False}, 0),
    Row(10, "reset in the handshake", scenes.no_tls(RST), ConnectError, {"reason": "handshake", "sent": False}, 0),
    Row(
        11,
        "https to a plain port",
        scenes.no_tls(http(b"", "400 Bad"), FIN),
        TLSError,
        {"reason": "tls", "sent": False},
        0,
    ),
    Row(
        11,
        "https to a silent port",
        scenes.no_tls(SILENCE),
        AttemptTimeoutError,
        {"reason": "connect", "sent": False},
        0,
    ),
    Row(12, "http to a TLS port", scenes.only_tls, ConnectionLostError, {"received": False}, 0),
    Row(
        13,
        "proxy wants a password",
        scenes.proxy((http(b"", "407 No"),)),
        ConnectError,
        {"reason": "proxy_auth", "sent": False},
    ),
    Row(13, "proxy refuses", scenes.proxy((http(b"", "502 No"),)), ConnectError, {"reason": "proxy", "sent": False}, 3),
    Row(13, "proxy is not there", scenes.no_proxy, ConnectError, {"reason": "proxy", "sent": False}, 0),
    Row(13, "proxy is silent", scenes.proxy((SILENCE,)), AttemptTimeoutError, {"reason": "connect", "sent": False}, 3),
]

HEAD = [
    Row(14, "RST before the answer", plays((RST,)), ConnectionLostError, {"received": False, "sent": True}, 3),
    Row(15, "FIN before the answer", plays((FIN,)), ConnectionLostError, {"received": False, "sent": True}, 3),
    Row(
        16, "stale keep-alive, FIN", plays((http(BODY),), (FIN,), (http(BODY),)), None, {"count": 1}, 3, drive=times(2)
    ),
    Row(
        17, "stale keep-alive, RST", plays((http(BODY),), (RST,), (http(BODY),)), None, {"count": 1}, 3, drive=times(2)
    ),
    Row(18, "FIN in the head", plays((OK + b"Set-Cookie: se", 0.01, FIN)), ConnectionLostError, {"received": True}, 3),
    Row(19, "RST in the head", plays((OK + b"Set-Cookie: se", 0.01, RST)), ConnectionLostError, {"received": True}, 3),
    Row(
        20,
        "an SSH server",
        plays((b"SSH-2.0-OpenSSH_9.9\r\n", FIN)),
        ProtocolError,
        {"sent": True},
        2,
        python={"error": ConnectionLostError, "requests": 3, "attributes": {"received": True}},
    ),
    Row(21, "status is no number", plays((b"HTTP/1.1 abc OK\r\n\r\n",)), ProtocolError, {}, 2),
    Row(22, "NUL in a header", plays((OK + b"A: \x00b\r\nContent-Length: 0\r\n\r\n",)), ProtocolError, {}, 2),
    Row(23, "header of 9 kB", plays((OK + b"A: " + b"b" * 9000 + b"\r\n\r\n",)), ProtocolError, {}, 1),
    Row(24, "300 headers", plays((OK + b"A: b\r\n" * 300 + b"\r\n",)), ProtocolError, {}, 1),
    Row(
        25,
        "chunked and a length",
        plays((OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",)),
        ProtocolError,
        {},
        2,
    ),
    Row(
        26,
        "two lengths",
        plays((http(BODY, "200 OK", "Content-Length: 5"),)),
        ProtocolError,
        {},
        2,
        python={"error": None, "attributes": {"count": 1}, "requests": 1},
    ),
    Row(27, "negative length", plays((http(BODY, length=-5),)), ProtocolError, {}, 2),
    Row(28, "bad chunk size", plays((CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",)), ProtocolError, {}, 2),
    Row(28, "bad chunk size, later", plays((CHUNKED + b"2\r\n{}\r\n", 0.02, b"zz\r\n")), ProtocolError, {}, 2),
    Row(
        29,
        "head byte by byte",
        plays((OK, Loop((b"A: b\r\n", 0.02)))),
        AttemptTimeoutError,
        {"reason": "total"},
        3,
        options=PATIENT_READER,
    ),
    Row(30, "no answer", plays((SILENCE,)), AttemptTimeoutError, {"reason": "read", "sent": True}, 3),
    Row(
        31,
        "100 Continue for ever",
        plays((Loop((b"HTTP/1.1 100 Continue\r\n\r\n", 0.02)),)),
        AttemptTimeoutError,
        {"reason": "total"},
        3,
        options=PATIENT_READER,
    ),
    Row(
        31,
        "103 without a pause",
        plays((Loop((HINTS, 0.001)),)),
        ProtocolError,
        {"reason": "invalid"},
        2,
        options=PATIENT_READER,
    ),
    Row(
        32,
        "bytes after the body",
        plays((http(BODY) + b"extra",)),
        ProtocolError,
        {},
        2,
        python={"error": None, "attributes": {"count": 1}, "requests": 1},
    ),
]

BODIES = [
    Row(34, "RST in the body", plays((http(BODY[:9], length=99), 0.01, RST)), PayloadError, {"reason": "cut", "received": 9, "expected": 99}, 3),
    Row(35, "body shorter than its length", plays((http(BODY[:9], length=99), FIN)), PayloadError, {"reason": "cut", "received": 9, "expected": 99}, 3),
    Row(36, "chunks without an end", plays((CHUNKED + b"2\r\n{}\r\n", FIN)), PayloadError, {"reason": "cut", "received": 2, "expected": None}, 3),
    Row(37, "cut, and nobody can tell", plays((UNTIL_EOF + BODY[:9], FIN)), NotJSONError, {"reason": "possible_truncation"}),
    Row(38, "stalls in the body", plays((http(BODY[:9], length=99), SILENCE)), AttemptTimeoutError, {"reason": "read"}, 3),
    Row(39, "body byte by byte", plays((http(b"[", length=9999), Loop((b" ", 0.02)))), AttemptTimeoutError, {"reason": "total"}, 3, options=PATIENT_READER),
    Row(40, "not gzip at all", document(BODY, "Content-Encoding: gzip"), PayloadError, {"reason": "encoding"}, 2),
    Row(40, "not deflate at all", document(b"\xff" + BODY, "Content-Encoding: deflate"), PayloadError, {"reason": "encoding"}, 2),
    Row(41, "gzip with a wrong CRC", document(GZIPPED[:-8] + b"\0" * 8, "Content-Encoding: gzip"), PayloadError, {"reason": "checksum"}, 3),
    Row(42, "gzip cut, length right", document(GZIPPED[:-20], "Content-Encoding: gzip"), PayloadError, {"reason": "cut"}, 3),
    Row(43, "brotli, unasked", document(BODY, "Content-Encoding: br"), PayloadError, {"reason": "unasked"}, 1),
    Row(43, "unknown encoding", document(BODY, "Content-Encoding: rot13"), PayloadError, {"reason": "unasked"}, 1),
    Row(44, "gzip bomb", document(gzip.compress(bytes(2**26)), "Content-Encoding: gzip"), ResponseTooLargeError, {}),
    Row(45, "length above the cap", plays((http(length=2**23 + 1), Loop((bytes(2**16),)))), ResponseTooLargeError, {}),
    Row(45, "endless chunks", plays((CHUNKED, Loop((b"10000\r\n" + bytes(2**16) + b"\r\n",)))), ResponseTooLargeError, {}),
    Row(46, "ten thousand gzip members", document(gzip.compress(b"") * 10_000, "Content-Encoding: gzip"), ResponseTooLargeError, {}),
    Row(47, "empty 200", document(b""), NotJSONError, {"reason": "empty"}),
    Row(48, "204", plays((b"HTTP/1.1 204 No Content\r\n\r\n",)), APIStatusError, {"status": 204}),
    Row(48, "206", status(206), APIStatusError, {"status": 206}),
    Row(49, "200 with a web page", document(b"<html>Sign in", "Content-Type: text/html"), NotJSONError, {"reason": "content_type"}),
    Row(50, "JSON as text/plain", document(AGENTS, "Content-Type: text/plain"), None, {"count": 1}),
    Row(51, "byte order mark", document(b"\xef\xbb\xbf" + BODY), None, {"count": 1}),
    Row(52, "invalid UTF-8", document(b'{"agents": "\xff"}'), NotJSONError, {"reason": "syntax"}),
    Row(53, "UTF-16", document(BODY.decode().encode("utf-16")), None, {"count": 1}),
    Row(53, "charset that does not exist", document(BODY, "Content-Type: application/json; charset=klingon"), None, {"count": 1}),
    Row(54, "nested 100,000 deep", document(b"[" * 100_000 + b"]" * 100_000), NotJSONError, {"reason": "syntax"}),
    Row(55, "number of 5,000 digits", document(b'{"agents": [], "count": ' + b"9" * 5000 + b"}"), NotJSONError, {}),
    Row(56, "NaN", document(b'{"agents": [], "count": NaN}'), NotJSONError, {"reason": "syntax"}),
    Row(58, "a list at the top", document([]), SchemaMismatchError, {"path": "$"}),
    Row(58, "null at the top", document(None), SchemaMismatchError, {"path": "$"}),
    Row(59, "member missing", document({"agents": []}), SchemaMismatchError, {"path": "$.count"}),
    Row(60, "null as id", agents(id=None), SchemaMismatchError, {"path": "$.agents[0].id"}),
    Row(60, "count as a string", document({"agents": [], "count": "7"}), SchemaMismatchError, {"path": "$.count"}),
    Row(60, "domains as a string", document({"domains": "example.com"}), SchemaMismatchError, {"path": "$.domains"}, endpoint=GetAllowedDomains("a")),
    Row(61, "values and members not known yet", agents(status="asleep", mood="fine"), None, {"complete": True}),
    Row(62, "createdAt is no date", agents(createdAt="yesterday"), SchemaMismatchError, {"path": "$.agents[0].createdAt"}),
    Row(62, "createdAt with an offset", agents(createdAt="2026-01-15T09:00:00+02:00"), None, {"complete": True}),
    Row(63, "count is wrong", document({"agents": [AGENT], "count": 7}), None, {"complete": False}),
    Row(64, "an id twice", document({"agents": [AGENT, AGENT], "count": 2}), None, {"complete": False}),
]  # fmt: skip

HUGE = json.dumps({"error": "e" * 2**20}).encode()
STATUSES = [
    Row(65, "400", status(400), BadRequestError, {"status": 400, "message": "as documented"}),
    Row(66, "401", status(401), AuthenticationError, {"status": 401}),
    Row(67, "403", status(403, b"<html>Forbidden"), PermissionDeniedError, {"message": "<html>Forbidden"}),
    Row(68, "404", status(404), NotFoundError, {"status": 404}),
    *(Row(69, f"{code}", status(code), APIStatusError, {"status": code}, 3) for code in (408, 502, 503, 504, 520, 521, 522, 523, 524)),
    Row(70, "500", status(500), ServerError, {"status": 500, "stop_reason": "attempts"}, 3),
    *(Row(71, f"{code}", status(code), ServerError, {"status": code, "stop_reason": "not_retryable"}) for code in (501, 505, 525, 526)),
    Row(72, "429, wait 5 s", status(429, b"{}", "Retry-After: 5"), RateLimitError, {"retry_after": 5.0}, 6, options=CLOCKED, waits_at_least=5.0),
    Row(73, "429", status(429), RateLimitError, {"retry_after": None, "stop_reason": "attempts"}, 6),
    Row(74, "429, wait 61 s", status(429, b"{}", "Retry-After: 61"), RateLimitError, {"retry_after": 61.0, "stop_reason": "retry_after_too_long"}),
    Row(74, "429, wait past the deadline", status(429, b"{}", "Retry-After: 9"), RateLimitError, {"retry_after": 9.0, "stop_reason": "deadline"}),
    *(
        Row(75, f"429, Retry-After: {text[:9]!a}", status(429, b"{}", f"Retry-After: {text}"), RateLimitError, {"retry_after": None}, 6)
        for text in ("soon", "-1", "5s", "inf", "1_0", "0x10", "nan", "\u0661".encode().decode("latin-1"), "Mon, 99 Foo 2026 99:99:99 GMT")
    ),
    Row(76, "429, wait until a past day", status(429, b"{}", "Retry-After: Thu, 01 Jan 2015 00:00:00 GMT"), RateLimitError, {"retry_after": 0.0}, 6),
    Row(76, "429, a day by the server's clock",
        status(429, b"{}", "Date: Thu, 01 Jan 2015 00:00:00 GMT", "Retry-After: Thu, 01 Jan 2015 00:00:07 GMT"),
        RateLimitError, {"retry_after": 7.0}, 6, options=CLOCKED, waits_at_least=7.0),
    Row(77, "503, wait 5 s", status(503, b"{}", "Retry-After: 5"), ServerError, {"retry_after": 5.0}, 3, options=CLOCKED, waits_at_least=5.0),
    Row(78, "404 with a web page", status(404, b"<html>Not here"), NotFoundError, {"message": "<html>Not here"}),
    Row(78, "404, error is no text", status(404, b'{"error": {"a": 1}}'), NotFoundError, {"message": '{"error": {"a": 1}}'}),
    Row(78, "404 with a huge error", status(404, HUGE), NotFoundError, {"status": 404}),
    Row(78, "404 in brotli", status(404, BODY, "Content-Encoding: br"), NotFoundError, {"message": "no message"}),
    Row(78, "429, cut off", plays((http(b"{", "429 Slow", "Retry-After: 61", length=9), FIN)), RateLimitError, {"retry_after": 61.0}),
    Row(79, "400 that quotes the key", status(400, json.dumps({"error": f"Bad key {KEY}!"}).encode()), BadRequestError, {"message": "Bad key clf_***"}),
    *(
        Row(80, f"{code} to elsewhere", status(code, b"", "Location: https://evil.example:8443/agents?a=b"), RedirectRefusedError,
            {"location": "https://evil.example:8443"})
        for code in (301, 302, 303, 307, 308)
    ),
    Row(80, "302 to a path", status(302, b"", "Location: /login"), RedirectRefusedError, {}),
    Row(80, "302 to nowhere", status(302), RedirectRefusedError, {}),
    Row(80, "302 to a file", status(302, b"", "Location: file:///etc/passwd"), RedirectRefusedError, {}),
    *(Row(81, f"{code}", status(code, b""), APIStatusError, {"status": code}) for code in (300, 304, 305)),
]  # fmt: skip

INPUT = [
    *(
        Row(94, f"base URL {url[:24]}", scenes.refused, InvalidBaseUrlError, {}, 0, options={"base_url": url})
        for url in ("http://chatloom.app", "https://a:b@chatloom.app", "https://chatloom.app?a=b", "https://chatloom.app#a",
                    "https://chat loom.app", "chatloom.app", f"https://{'a' * 64}.app")
    ),
    *(
        Row(number, f"key with {what}", plays((http(BODY),)), InvalidApiKeyError, {}, 0, key=key)
        for number, what, key in (
            (95, "a newline", "clf_canary-bad\nkey"), (95, "a NUL", "clf_canary-bad\0key"), (95, "a DEL", "clf_canary-bad\x7fkey"),
            (96, "an umlaut", "clf_canary-bädkey"), (96, "a byte order mark", "\ufeffclf_canary-badkey"),
            (96, "an invisible space", "clf_canary-bad\u200bkey"), (96, "a space", "clf_canary-bad key"),
            (96, "quotes", '"clf_canary-badkey"'), (96, "a comma", "clf_canary-bad,key"), (96, "9,000 characters", "clf_" + "a" * 9000),
        )
    ),
    *(
        Row(97, f"agent id {agent[:12]!a}", plays((http(b'{"domains": []}'),)), InvalidAgentIdError, {}, 0, endpoint=GetAllowedDomains(agent))
        for agent in ("../x", "..", ".", "", "a/b", "a?b", "a#b", "%2e%2e", "a\nb", "\ud800", "a" * 257)
    ),
]  # fmt: skip

LIFECYCLE = [
    Row(82, "cancelled under way", plays((SILENCE,)), asyncio.CancelledError, {}, drive=cancelled),
    Row(84, "timeout around the call", plays((SILENCE,)), TimeoutError, {}, drive=outer_timeout),
    Row(84, "timeout around the connecting", scenes.black_hole, TimeoutError, {}, 0, drive=outer_timeout),
    Row(85, "cancelled between attempts", status(500), asyncio.CancelledError, {}, options={"retry": PATIENT, "deadline": 60.0}, drive=cancelled),
    Row(86, "deadline before the next attempt", status(500), ServerError, {"stop_reason": "deadline"}, options={"retry": PATIENT}),
    Row(86, "deadline in an attempt", plays((SILENCE,)), DeadlineExceededError, {"last": None}, options={"deadline": 0.05}),
    Row(87, "called after close", plays((http(BODY),)), ClientClosedError, {}, 0, drive=after_close),
    Row(88, "closed under way", plays((SILENCE,)), ClientClosedError, {}, drive=close_under_way),
    Row(89, "two event loops in turn", plays((http(BODY),)), None, {"count": 1}, 2, drive=two_loops),
    Row(93, "proxy and netrc in the environment", scenes.tempting_environment, None, {"count": 0}, plain={"trust_env": True}),
    Row(98, "retry budget is used up", status(500), ServerError, {"stop_reason": "budget"}, 19 + 35, drive=times(19)),
    Row(99, "no descriptors left", scenes.no_descriptors, ConnectError, {"reason": "local", "sent": False}, 0),
    Row(100, "no memory left", scenes.raises(MemoryError()), MemoryError, {}, 0),
]  # fmt: skip

ROWS = [*CONNECTING, *HEAD, *BODIES, *STATUSES, *INPUT, *LIFECYCLE]

ELSEWHERE = {
    5: "tests/transports/test_pool.py",  # waiting for a connection: there is no such wait
    33: "tests/transports/test_pool.py",  # bytes sent unasked
    57: "tests/wire/test_decode.py",  # a member twice
    83: "tests/transports/test_cancellation.py",  # 1,000 cancelled calls
    90: "tests/client/test_lifecycle.py",  # constructed outside of an event loop
    91: "tests/transports/test_closing.py",  # never closed
    92: "tests/client/test_lifecycle.py",  # pickled
}
"""Faults that are no single call, or no call at all, and where they are tested."""
