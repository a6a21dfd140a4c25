"""`chatloom doctor`: lines, JSON, the report, what it proposes, and exit statuses."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chatloom_async.cli.doctor import line, summary
from chatloom_async.diagnosis.observation import ok, skipped, warning, wrong
from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran, stdin_of
from tests.cli.test_program import STYLE, on_terminal
from tests.raw_server import free_port
from tests.samples import KEY

Chatloom = Callable[..., Ran]
NO_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the developer's own machine are not what is tested."""
    for name in NO_PROXIES:
        monkeypatch.delenv(name, raising=False)


def marks(out: str) -> list[str]:
    """The first two columns of every line that has them."""
    return [" ".join(line[:18].split()) for line in out.splitlines() if line[:1].strip()]


WAY = ["- names", "✓ connection", "- TLS", "✓ clock", "✓ call", "✓ latency"]


def test_where_calls_work_the_status_is_0(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """One line for each step; the sum of it is for people, and so on stderr."""
    ran = chatloom("doctor")
    assert (ran.status, ran.err) == (0, "8 checks: 8 ok\n")
    assert marks(ran.out) == ["✓ versions", "✓ key", "✓ base URL", "✓ proxies", *WAY]
    assert "✓  key            environment variable CHATLOOM_API_KEY: clf_ and 32 more characters\n" in ran.out
    assert "✓  call           GET /api/plugin/agents: 200, 3 agents\n" in ran.out


def test_a_key_that_is_refused_makes_it_1(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """The line says what to do; it shows no key."""
    old = sandbox["acme"].key.reveal()
    sandbox["acme"].rotate_key()
    ran = chatloom("doctor")
    assert (ran.status, ran.err) == (1, "7 checks: 6 ok, 1 wrong\n")
    hint = "The old key stops working the moment a new one is generated: take the current one from Settings > API Keys."
    hint += " The API is available on the Pro plan and above."
    call = "✗  call           GET /api/plugin/agents: HTTP 401: The API key is invalid or expired.\n"
    assert ran.out.endswith(f"{call}                  → {hint}\n")
    assert old not in ran.out


def test_without_a_key_it_says_what_is_missing(
    chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does everything else."""
    monkeypatch.delenv("CHATLOOM_API_KEY")
    ran = chatloom("doctor")
    way = ["- names", "✓ connection", "- TLS", "✓ clock", "✓ answer", "- call"]
    assert marks(ran.out) == ["✓ versions", "✗ key", "✓ base URL", "✓ proxies", *way]
    assert ran.status == 1
    assert ran.err.splitlines() == [
        "7 checks: 6 ok, 1 wrong",
        "next: export CHATLOOM_API_KEY=... && chatloom doctor   (try it: chatloom doctor --sandbox)",
    ]


def test_a_key_file_and_its_mode(
    chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of its own, and one that it can be corrected by."""
    monkeypatch.delenv("CHATLOOM_API_KEY")
    path = tmp_path / "key"
    path.write_text(sandbox["acme"].key.reveal())
    path.chmod(0o644)
    ran = chatloom("doctor", "--key-file", str(path))
    assert (ran.status, marks(ran.out)[1:3]) == (1, ["✗ key file", "- key"])
    assert f"→ chmod 600 {path}\n" in ran.out
    path.chmod(0o600)
    ran = chatloom("doctor", "--key-file", str(path))
    assert (ran.status, marks(ran.out)[1:3]) == (0, ["✓ key file", "✓ key"])


def test_a_key_from_standard_input(chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of it, as for the other commands."""
    monkeypatch.setattr(sys, "stdin", stdin_of(sandbox["acme"].key.reveal() + "\n"))
    ran = chatloom("doctor", "--key-file", "-")
    assert (ran.status, "key            standard input: clf_ and 32 more characters\n" in ran.out) == (0, True)


def test_proxies_are_named_and_no_reason_to_fail(
    chatloom: Chatloom, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the way to set one, and without the password."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:proxy-password@127.0.0.1:1")
    ran = chatloom("doctor")
    assert (ran.status, ran.err) == (0, "8 checks: 7 ok, 1 warning\n")
    assert "!  proxies        HTTPS_PROXY: set, and deliberately ignored\n" in ran.out
    assert "AiohttpTransport(proxy=...)" in ran.out
    assert "proxy-password" not in ran.out


def test_json_is_one_document(chatloom: Chatloom) -> None:
    """The same checks, with facts for programs."""
    port = free_port()
    ran = chatloom("doctor", "--json", "--base-url", f"http://127.0.0.1:{port}")
    document = json.loads(ran.out)
    assert (ran.status, document["schema_version"], document["works"]) == (1, 1, False)
    assert document["checks"][-2:] == [
        {
            "subject": "connection",
            "state": "wrong",
            "found": f"none to 127.0.0.1:{port} (ECONNREFUSED)",
            "advice": "Check the port, the firewall, and whether a VPN or proxy is needed.",
            "facts": {"failed": [f"127.0.0.1:{port} (ECONNREFUSED)"]},
            "chapter": "way",
        },
        {
            "subject": "call",
            "state": "skipped",
            "found": "not tried: the step above has to work first",
            "advice": "",
            "facts": {},
            "chapter": "way",
        },
    ]


def test_json_says_that_it_works(chatloom: Chatloom) -> None:
    """And nothing but the document is on stdout."""
    ran = chatloom("doctor", "--sandbox", "--json")
    document = json.loads(ran.out)
    assert (ran.status, document["works"]) == (0, True)
    found = {each["subject"]: each["facts"] for each in document["checks"]}
    assert found["call"] == {"status": 200, "agents": 12}
    assert set(found["latency"]) == {"calls", "min_ms", "median_ms", "connections"}


def test_the_embedded_sandbox_is_as_documented(chatloom: Chatloom) -> None:
    """It needs no key, and a gap is between the way and the contract."""
    ran = chatloom("doctor", "--sandbox", "--contract")
    assert (ran.status, ran.err) == (0, "18 checks: 18 ok\n")
    contract = ["agents", "values", "order", "count", "domains", "both headers", "no key", "bad key", "unknown agent"]
    assert marks(ran.out)[10:] == [*(f"✓ {each}" for each in contract), "✓ content type", "- plain http"]
    assert "of 3 calls on one connection\n\n✓  agents         every documented field, and no other\n" in ran.out


def test_deviations_are_for_the_support(chatloom: Chatloom, sandbox: Sandbox, tmp_path: Path) -> None:
    """A warning leaves the status 0; the next command writes the report, which holds no key."""
    sandbox["acme"].update_agent(sandbox["acme"].agents[0].id, position="center")
    ran = chatloom("doctor", "--contract")
    assert ran.status == 0
    assert "!  values         agents[].position is 'center', documented is 'one of " in ran.out
    report = "chatloom doctor --contract --report report.md   (then send that to support@chatloom.app)"
    assert ran.err.splitlines() == ["18 checks: 17 ok, 1 warning", f"next: {report}"]
    path = tmp_path / "report.md"
    ran = chatloom("doctor", "--contract", "--report", str(path))
    assert ran.err.splitlines()[1] == f"next: look through {path}, then send it to support@chatloom.app"
    page = path.read_text("utf-8")
    assert "- ! **values**: agents\\[\\].position is 'center', " in page
    assert "\nX-API-Key: clf_***\n" in page
    assert sandbox["acme"].key.reveal() not in page


def test_a_broken_promise_makes_it_1(chatloom: Chatloom, sandbox: Sandbox) -> None:
    """Also where calls work."""
    sandbox["acme"].fails(403, on="*/allowed-domains", times=None)
    ran = chatloom("doctor", "--contract")
    assert ran.status == 1
    assert "✗  domains        HTTP 403, documented is 200\n" in ran.out
    assert "✗  unknown agent  HTTP 403, documented is 404\n" in ran.out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--sandbox", "--base-url", "http://127.0.0.1:1"], "--sandbox brings its own key and address"),
        (["--sandbox", "--key-file", "-"], "--sandbox brings its own key and address"),
        (
            ["--report", "/no/such/dir/report"],
            "--report /no/such/dir/report cannot be written: No such file or directory.",
        ),
        (["--time-limit", "0"], 'Invalid value "0.0" for --time-limit. Must be > 0.'),
        ([KEY], "Unexpected: clf_***. A key is never an argument"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(chatloom: Chatloom, arguments: list[str], error: str) -> None:
    """Nothing is examined."""
    ran = chatloom("doctor", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith(f"error: {error}")


@pytest.mark.parametrize("width", [40, 100])
def test_a_terminal_gets_colours_and_lines_that_fit(width: int) -> None:
    """What is long goes on below its beginning."""
    written = on_terminal("doctor", "--sandbox", width=width)
    assert "\x1b[32m✓" in written
    lines = STYLE.sub("", written).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[-2:] == ["", "8 checks: 8 ok"]


def test_an_encoding_without_ticks_gets_other_marks() -> None:
    """Nothing is escaped."""
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    assert line(wrong("TLS", "no", "Look."), stream) == "x  TLS            no\n                  > Look.\n"
    assert line(skipped("TLS", "no"), stream) == "-  TLS            no\n"


def test_the_summary_has_the_colour_of_the_worst() -> None:
    """What was skipped is no check."""
    assert summary([ok("a", ""), skipped("b", "")]) == ("1 check: 1 ok", "green")
    assert summary([ok("a", ""), warning("b", "")]) == ("2 checks: 1 ok, 1 warning", "yellow")
    assert summary([warning("b", ""), warning("c", ""), wrong("a", "")]) == ("3 checks: 2 warnings, 1 wrong", "red")
