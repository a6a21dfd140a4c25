"""The way to the server: names, connections and TLS, in order and not, within the time limit."""

import asyncio
import errno
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chatloom_async.diagnosis.network import (
    ADVICE,
    CLOCK,
    NAME,
    NO_WAY,
    OTHER,
    TRUST,
    _failure,
    check_certificate,
    check_connection,
    check_names,
    check_tls,
    refusal,
    resolve,
)
from chatloom_async.diagnosis.observation import Observation, TimeLimit, ok, skipped, warning, wrong
from tests.faults.scenes import SceneMaker, authority, no_tls, tls
from tests.raw_server import FIN, SILENCE, RawServer, deaf_port, free_port, http

TOO_SLOW = "Something drops packets or is very slow; --time-limit SECONDS waits longer."


def timeless(told: Observation) -> Observation:
    """Without the milliseconds, which no test can know. They must be those of the facts, and a plausible time."""
    words = told.found.split(" ")
    for place, word in enumerate(words[1:]):
        if word.rstrip(",;") == "ms":
            assert float(words[place]) == pytest.approx(told.facts["seconds"] * 1000, abs=0.6)
            words[place] = "_"
    facts = dict(told.facts)
    assert 0 < facts.pop("seconds") < 60
    return evolve(told, found=" ".join(words), facts=facts)


def answers(*addresses: str) -> Any:
    """A resolver that knows one answer."""
    return lambda host, port: [(0, 0, 0, "", (address, port)) for address in addresses]


async def test_a_name_and_its_addresses() -> None:
    """Each once, in the system's order; a long list is cut for people, not for programs."""
    many = ["192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]
    addresses, told = await check_names("chatloom.invalid", 443, answers(*many, *many))
    shown = "192.0.2.1, 2001:db8::1, 192.0.2.2, 192.0.2.3"
    found = f"chatloom.invalid is {shown} and 2 more, found in _ ms"
    assert (addresses, timeless(told)) == (many, ok("names", found, host="chatloom.invalid", addresses=many))


async def test_the_time_of_a_look_up() -> None:
    """From the question to the answer, for people in milliseconds."""

    def slow(host: str, port: int) -> Any:
        time.sleep(0.02)
        return answers("192.0.2.1")(host, port)

    began = time.perf_counter()
    _, told = await check_names("chatloom.invalid", 443, slow)
    assert 0.02 <= told.facts["seconds"] <= time.perf_counter() - began + 0.0001
    assert timeless(told).found == "chatloom.invalid is 192.0.2.1, found in _ ms"


async def test_localhost_is_looked_up_for_real() -> None:
    """By the system's resolver."""
    addresses, told = await check_names("localhost", 80, resolve)
    assert ("127.0.0.1" in addresses, told.state) == (True, "ok")


async def test_an_address_needs_no_look_up() -> None:
    """Of either kind."""
    said = "is an address, so there is nothing to look up"
    for host in ("127.0.0.1", "::1"):
        expected = [host], skipped("names", f"{host} {said}")
        assert await check_names(host, 80, answers()) == expected


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
async def test_a_name_that_is_not_found(problem: Exception, reason: str) -> None:
    """The system's reason, and where to look."""

    def fails(host: str, port: int) -> Any:
        raise problem

    addresses, told = await check_names("chatloom.invalid", 443, fails)
    found = f"chatloom.invalid was not found: {reason}"
    assert (addresses, timeless(told)) == ([], wrong("names", found, ADVICE, host="chatloom.invalid"))


@contextmanager
def stuck(threads: list[threading.Thread]) -> Iterator[Any]:
    """A resolver that answers when the context ends; its threads are joined then."""
    release = threading.Event()

    def waits(host: str, port: int) -> Any:
        threads.append(threading.current_thread())
        release.wait()
        return []

    try:
        yield waits
    finally:
        release.set()


async def test_a_look_up_that_hangs_ends_with_the_time_limit() -> None:
    """Nobody waits for its thread, and its answer, when it comes, does no harm."""
    threads: list[threading.Thread] = []
    with stuck(threads) as waits:
        limit = TimeLimit(0.02)
        told = await limit.bound(check_names("chatloom.invalid", 443, waits), ([], limit.passed("names")))
    assert told == ([], wrong("names", "no result: the time limit of 0.02 s for everything was up", TOO_SLOW))
    await asyncio.to_thread(threads[0].join)


def test_a_look_up_that_outlives_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finds nobody to tell, which is no error."""
    threads: list[threading.Thread] = []
    complaints: list[object] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)

    async def ask(waits: Any) -> None:
        limit = TimeLimit(0.02)
        await limit.bound(check_names("chatloom.invalid", 443, waits), ([], limit.passed("names")))

    with stuck(threads) as waits:
        asyncio.run(ask(waits))
        assert threads[0].is_alive()
    threads[0].join()
    assert complaints == []


async def test_a_connection_and_one_address_that_takes_none() -> None:
    """The second one does; that there is another is a warning."""
    async with RawServer((FIN,)) as server:
        writer, told = await check_connection(["::1", "127.0.0.1"], server.port)
        assert writer is not None
        writer.close()
    here, refused = f"127.0.0.1:{server.port}", f"[::1]:{server.port} ({told.facts['failed'][0].split('(')[1]}"
    advice = "Calls work, but may begin slowly: those addresses are tried as well."
    expected = warning("connection", f"{here} in _ ms, but not {refused}", advice, address=here, failed=[refused])
    assert timeless(told) == expected


async def test_a_port_where_nobody_listens() -> None:
    """Each address with what the system calls it."""
    failed = [f"127.0.0.1:{free_port()} (ECONNREFUSED)"]
    port = int(failed[0].split(" ")[0].split(":")[1])
    expected = None, wrong("connection", f"none to {failed[0]}", NO_WAY, failed=failed)
    assert await check_connection(["127.0.0.1"], port) == expected


async def test_a_port_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address has its own limit, and everything has one."""
    monkeypatch.setattr("chatloom_async.diagnosis.network.PATIENCE", 0.02)
    async with deaf_port() as port:
        failed = [f"127.0.0.1:{port} (no answer)"]
        expected = wrong("connection", f"none to {failed[0]}", NO_WAY, failed=failed)
        assert await check_connection(["127.0.0.1"], port) == (None, expected)
        limit = TimeLimit(0.01)
        passed = wrong("connection", "no result: the time limit of 0.01 s for everything was up", TOO_SLOW)
        assert limit.passed("connection") == passed
        assert await limit.bound(check_connection(["127.0.0.1"], port), (None, passed)) == (None, passed)


async def handshake(make: SceneMaker, *, seconds: float = 9, trusted: bool = True) -> Observation:
    """What TLS with a scene comes to."""
    async with make() as scene:
        assert scene.server is not None
        writer, _ = await check_connection(["127.0.0.1"], scene.server.port)
        assert writer is not None
        context = scene.ssl if scene.ssl and trusted else ssl.create_default_context()
        limit = TimeLimit(seconds)
        told = await limit.bound(check_tls(writer, "localhost", context), limit.passed("TLS"))
        writer.transport.abort()
    return told


async def test_tls_that_works() -> None:
    """Version, issuer and days; this certificate ends in less than two weeks, which is a warning."""
    told = timeless(await handshake(tls()))
    by = told.facts["issuer"]
    assert by.startswith("trustme v")
    expected = warning(
        "TLS",
        f"TLSv1.3 in _ ms; certificate by {by}, valid for 8 more days",
        "If it is not renewed by then, calls fail.",
        version="TLSv1.3",
        issuer=by,
        days=8,
        expires=told.facts["expires"],
    )
    assert told == expected


@pytest.mark.parametrize(
    ("make", "trusted", "found", "advice"),
    [
        (tls(expired=True), True, "the certificate has expired", CLOCK),
        (tls(host="other.example"), True, "the certificate is for another host name", NAME),
        (tls(), False, "the certificate comes from an authority that this machine does not know", TRUST),
        (tls(old=True), True, "the server broke off the handshake", OTHER),
        (no_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n"), True, "this port does not speak TLS", OTHER),
        (no_tls(FIN), True, "the server broke off the handshake", OTHER),
    ],
)
async def test_tls_that_is_refused(make: SceneMaker, trusted: bool, found: str, advice: str) -> None:
    """Why, in plain words, and what to do."""
    told = await handshake(make, trusted=trusted)
    assert evolve(told, facts={}) == wrong("TLS", found, advice)


async def test_a_certificate_that_vouches_for_itself(tmp_path: Path) -> None:
    """Is not taken for one of an unknown authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = tmp_path / "own.pem"
    own.write_bytes(authority().private_key_pem.bytes() + authority().cert_pem.bytes())
    context.load_cert_chain(own)
    async with RawServer((http(),), tls=context) as server:
        writer, _ = await check_connection(["127.0.0.1"], server.port)
        assert writer is not None
        told = await check_tls(writer, "localhost", ssl.create_default_context())
    found = "the certificate is self-signed, so no authority that this machine trusts has signed it"
    assert told == wrong("TLS", found, TRUST, reason="CERTIFICATE_VERIFY_FAILED")


async def test_a_handshake_that_hangs_ends_with_the_time_limit() -> None:
    """As every step does."""
    passed = wrong("TLS", "no result: the time limit of 0.02 s for everything was up", TOO_SLOW)
    assert await handshake(no_tls(SILENCE), seconds=0.02) == passed


@pytest.mark.parametrize(
    ("problem", "found"),
    [
        (ssl.SSLError(1, "x"), "the server broke off the handshake"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "the server broke off the handshake"),
    ],
)
def test_other_refusals(problem: OSError, found: str) -> None:
    """Without a reason of OpenSSL's, the server has gone."""
    assert refusal(problem) == (found, OTHER)


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        (TimeoutError(), "no answer"),
        (OSError(errno.ECONNREFUSED, "x"), "ECONNREFUSED"),
        (ssl.SSLError("x"), "SSLError"),
    ],
)
def test_a_failure_is_told_by_a_name(problem: OSError, name: str) -> None:
    """By that of its number, or of its type if it has none."""
    assert _failure(problem) == name


def test_refusals_without_words_of_ours() -> None:
    """Have OpenSSL's."""
    refused = ssl.SSLCertVerificationError(1, "x")
    refused.verify_code, refused.verify_message = 23, "certificate revoked"
    assert refusal(refused) == ("the certificate was refused: certificate revoked", OTHER)
    broken = ssl.SSLError(1, "x")
    broken.reason = "INTERNAL_ERROR"
    assert refusal(broken) == ("the handshake failed: INTERNAL_ERROR", OTHER)
    broken.reason = "TLSV1_ALERT_PROTOCOL_VERSION"
    assert refusal(broken) == ("both sides have no TLS version in common", OTHER)


@pytest.mark.parametrize(
    ("issuer", "days", "found"),
    [
        (
            ((("organizationName", "Let's Encrypt"),), (("commonName", "R3"),)),
            61,
            "by Let's Encrypt, valid for 61 more days",
        ),
        (((("commonName", "R3"),),), 1, "by R3, valid for 1 more day"),
        ((), 14, "by an authority without a name, valid for 14 more days"),
    ],
)
def test_certificates(issuer: Any, days: int, found: str) -> None:
    """The organization, or what else the issuer goes by."""
    now = datetime(2026, 1, 15, tzinfo=UTC)
    until = f"{now + timedelta(days, hours=1):%b %d %H:%M:%S %Y} GMT"
    told = check_certificate("TLSv1.3", {"issuer": issuer, "notAfter": until}, 0.0125, now.timestamp())
    state = "ok" if days >= 14 else "warning"
    assert (told.found, told.state) == (f"TLSv1.3 in 12.5 ms; certificate {found}", state)
