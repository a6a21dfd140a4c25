# /// script
# requires-python = ">=3.11"
# dependencies = ["nox[uv]>=2025.5"]
# ///
"""Every check of this project: `nox`, or `uv run noxfile.py`, runs the ones named in DEFAULT.

A session installs once and is kept for the next run; `nox -l` lists them all.
"""

import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import nox

DEFAULT = ["lint", "imports", "typing", "tests", "examples"]
PYTHONS = ["3.11", "3.12", "3.13"]
# Most tests wait for a process or a socket, so there are more workers than cores.
PARALLEL = ("-n", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal")
# aiohttp and what is below it in pure Python, as where no wheel fits.
PURE = {f"{name}_NO_EXTENSIONS": "1" for name in ("AIOHTTP", "FROZENLIST", "MULTIDICT", "PROPCACHE", "YARL")}

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = DEFAULT
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # a missing Python is a skipped session, on CI too

PROJECT = nox.project.load_toml("pyproject.toml")

AIOHTTP = next(each for each in PROJECT["project"]["dependencies"] if each.startswith("aiohttp>="))
LOWEST_AIOHTTP = AIOHTTP.partition(",")[0].replace(">=", "==")


def group(name: str) -> list[str]:
    """The requirements of one of pyproject.toml's dependency groups."""
    return list(nox.project.dependency_groups(PROJECT, name))


def install(session: nox.Session, *groups: str) -> None:
    """This project with every extra, editable, and what the groups name."""
    session.install("-e", ".[cli,dns,httpx2,otel,redis]", *(each for name in groups for each in group(name)))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, mistakes that can be seen without running, and spelling; also of the CI examples."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("actionlint", "examples/ci/github.yml")
    session.run("zizmor", "--offline", "--persona=pedantic", "--no-progress", "examples/ci/github.yml")
    gitlab = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    session.run("check-jsonschema", *gitlab, "examples/ci/gitlab.yml")


@nox.session
def imports(session: nox.Session) -> None:
    """Who may import whom."""
    session.install(*group("lint"))
    session.run("lint-imports", "--no-logo")


@nox.session
def typing(session: nox.Session) -> None:
    """The package and the pinned public types, under two type checkers."""
    install(session, "typing")
    session.run("mypy")
    session.run("pyright")
    # What users see of the types: every public name must have one. Fails below 100 %.
    session.run("pyright", "--verifytypes", "chatloom_async", "--ignoreexternal")


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite on the Python that runs nox, with every line and branch covered. Takes pytest's arguments."""
    install(session, "test", "dask")
    session.run("coverage", "erase")
    # Not by pytest-cov: the package's own pytest plugin is imported before pytest-cov could look.
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or PARALLEL))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *([] if session.posargs else ["--fail-under=100"]))


@nox.session(name="tests-all", python=PYTHONS)
def tests_all(session: nox.Session) -> None:
    """The test-suite on every supported Python that is installed."""
    install(session, "test")
    session.run("pytest", *(session.posargs or PARALLEL))


@nox.session
def examples(session: nox.Session) -> None:
    """Every example, and every block of the documentation, run for real."""
    install(session, "test")
    session.run("pytest", "tests/test_examples.py", "tests/dashboard/test_dashboard.py", "tests/test_documentation.py")


@nox.session
def browser(session: nox.Session) -> None:
    """The HTML report and the dashboard in Chromium, which must be installed (Debian: chromium)."""
    install(session, "test", "browser")
    session.run("pytest", "-m", "browser", *session.posargs)


@nox.session(python=PYTHONS)
def hosts(session: nox.Session) -> None:
    """The bots and recipes for frameworks that are too heavy for the other sessions."""
    install(session, "test", "hosts")
    session.run("pytest", "tests/hosts", "tests/contrib/test_recipes.py", *session.posargs)


@nox.session
def fleet(session: nox.Session) -> None:
    """20,000 sandbox workspaces audited over sockets, killed five times on the way and resumed. Five minutes."""
    install(session, "test")
    session.run("python", "-m", "tests.fleet", *session.posargs)


@nox.session(python=["3.11", "3.13"])  # from 3.12 on, some event loops have eager tasks
def schedules(session: nox.Session) -> None:
    """20,000 random schedules against fan_out, limiter, retries and connections, and mutants of them. Some minutes.

    First fan_out is cancelled once at every step of every task.
    """
    install(session, "test")
    session.run("pytest", "tests/properties")
    session.run("python", "-m", "tests.properties", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """25,000 calls over mistreated connections: flat memory and descriptors; and an outage. A minute."""
    install(session, "test")
    session.run("python", "-m", "tests.faults.soak", *session.posargs)


@nox.session
@nox.parametrize("parser", [nox.param({}, id="C"), nox.param(PURE, id="pure")])
@nox.parametrize("aiohttp", [nox.param(LOWEST_AIOHTTP, id="lowest"), nox.param(AIOHTTP, id="newest")])
def faults(session: nox.Session, aiohttp: str, parser: dict[str, str]) -> None:
    """The fault table with the lowest and the newest aiohttp, also in pure Python. Half a minute each."""
    install(session, "test")
    session.install("--upgrade", aiohttp)
    session.run("pytest", "tests/faults", env=parser)
    session.run("python", "-m", "tests.faults", *session.posargs, env=parser)


@nox.session
def aiohttp_next(session: nox.Session) -> None:
    """The tests of the transports with the newest aiohttp, pre-releases included, if it is beyond pyproject.toml.

    If they pass, raise the upper bound there and SUPPORTED in transports/aiohttp/connection.py.
    """
    install(session, "test")
    session.install("--upgrade", "--prerelease=allow" if session.venv_backend == "uv" else "--pre", "aiohttp")
    ask = "import aiohttp; print(aiohttp.__version__)"
    version = (session.run("python", "-c", ask, silent=True) or "").strip()
    if version.split(".")[:2] < AIOHTTP.partition("<")[2].split("."):
        session.skip(f"The newest aiohttp is {version}, which {AIOHTTP} includes.")
    session.run("pytest", "tests/transports", "tests/faults", *session.posargs)


@nox.session
def transports(session: nox.Session) -> None:
    """The tests that every run does with aiohttp, and the fault table, with the httpx2 transport. A minute."""
    install(session, "test")
    chosen = ("-k", "httpx2", "--transport", "httpx2")
    session.run("pytest", "tests/transports", "tests/faults/test_matrix.py", *chosen, *session.posargs)


@nox.session
def redis(session: nox.Session) -> None:
    """The shared limit on the redis-server that is on PATH (Debian: redis-server), not on the wheel's Valkey."""
    program = shutil.which("redis-server")
    if program is None:
        session.skip("There is no redis-server on PATH (Debian: apt-get install redis-server).")
    install(session, "test")
    session.run("pytest", "tests/contrib/redis", "--redis-server", program, *session.posargs)


@nox.session
def uts46(session: nox.Session) -> None:
    """Our reading of host names against UTS 46, for every character in six places. Two minutes."""
    install(session, "test")
    session.run("python", "-m", "tests.audit.rules.sweep", *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """What openapi.json allows, sent to the sandbox by schemathesis. Half a minute."""
    install(session, "contract")
    session.run("pytest", "tests/endpoints/test_openapi_contract.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Bytes from strangers, guided by what they reach: `nox -s fuzz -- toml -max_total_time=300`. Five minutes."""
    install(session, "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Changes retries, limits, keys, decoding, fan_out, watch, outages and Redis: the tests must notice 90 %.

    Takes modules, such as `-- wire/auth.py`. Half an hour, and an hour or more for Redis, which needs a server.
    """
    install(session, "mutants")
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session
def sample(session: nox.Session) -> None:
    """Random changes of the whole package, of which the tests must notice 95 %: `-- --count 200 --seed 1`. An hour."""
    install(session, "mutants", "dask")
    session.run("python", "-m", "tests.mutants.sample", *session.posargs)


APIDOCS = """
import chatloom_async, pathlib, pdoc
for name in chatloom_async.__all__: setattr(chatloom_async, name, getattr(chatloom_async, name))  # lazy ones too
pdoc.pdoc("chatloom_async", *("chatloom_async." + each for each in ("contrib.redis", "contrib.asgi",
    "contrib.opentelemetry", "testing")), output_directory=pathlib.Path("build/apidocs"))
"""


@nox.session
def apidocs(session: nox.Session) -> None:
    """The public API as pages, in build/apidocs."""
    install(session, "test")
    session.install("pdoc>=16")
    session.run("python", "-W", "error", "-c", APIDOCS)


@nox.session
def engines(session: nox.Session) -> None:
    """Audits on processes of Dask that are killed, interrupted and restarted. Two minutes."""
    install(session, "test", "dask")
    session.install("asyncssh>=2.21")
    session.install("--no-deps", "dask-kubernetes>=2026.3")  # for the operator's definition of a cluster, not its code
    session.run("pytest", "-m", "cluster", "tests/engines", *session.posargs)


@nox.session(name="fleet-dask")
def fleet_dask(session: nox.Session) -> None:
    """20,000 workspaces on two Dask workers, one of them killed. Five minutes; on a busy machine try --latency 1."""
    install(session, "test", "dask")
    session.run("python", "-m", "tests.engines.fleet", *session.posargs)


@nox.session
def guard(session: nox.Session) -> None:
    """Fails when the client has become much slower, by ratios of CPU time. Half a minute."""
    session.install("-e", ".")
    session.run("python", "-m", "benchmarks.guard")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """What a call costs, beside other clients. Takes the options of `python -m benchmarks`, such as --quick."""
    session.install("-e", ".[cli,httpx2]", "trustme")
    for line in Path("benchmarks/peers.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):  # a peer that cannot be installed is reported, and stops nobody
            session.install(line, success_codes=[0, 1, 2])
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="uv", reuse_venv=False)
def lowest(session: nox.Session) -> None:
    """The test-suite with the lowest versions that pyproject.toml allows of what the package itself needs."""
    session.install("--resolution=lowest-direct", "-e", ".[cli,dns,httpx2,otel,redis]")
    session.install(
        "-e", ".[cli,dns,httpx2,otel,redis]", *group("test")
    )  # leaves what is there as it is, unless a test tool needs more
    session.run("uv", "pip", "list", external=True)
    session.run("pytest", *(session.posargs or PARALLEL))


@nox.session
def no_extensions(session: nox.Session) -> None:
    """The test-suite with aiohttp in pure Python."""
    install(session, "test")
    session.run("pytest", *(session.posargs or PARALLEL), env=PURE)


@nox.session(reuse_venv=False)
def build(session: nox.Session) -> None:
    """sdist and wheel, as users and packagers get them: without extras, with [cli], by uvx, and the sdist's tests."""
    session.install("build", "uv")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder)
        (wheel,), (sdist,) = Path(folder).glob("*.whl"), Path(folder).glob("*.tar.gz")
        session.run("python", "-m", "venv", f"{folder}/user")
        programs = Path(folder, "user", "Scripts" if os.name == "nt" else "bin")
        python, chatloom = str(programs / "python"), str(programs / "chatloom")
        with session.chdir(folder):  # so that nothing is imported from the source tree
            session.run(python, "-m", "pip", "install", "--quiet", str(wheel), external=True)
            session.run(python, "-W", "error", "-c", "from chatloom_async import *", external=True)
            said = session.run(chatloom, "audit", external=True, silent=True, success_codes=[1, 2])
            if "[cli]" not in (said or "") or "Traceback" in (said or "") or len((said or "").splitlines()) != 1:
                session.error(f"Without the [cli] extra, `chatloom` must say so in one line. It said:\n{said}")
            once = (
                "uv",
                "tool",
                "run",
                "--python",
                str(Path(session.bin, "python")),
                "--from",
                f"{wheel}[cli]",
                "chatloom",
            )
            session.run(*once, "--help")
            session.run(*once, "audit", "--sandbox", "--format", "json", "--output", "audit.json")
            told = json.loads(Path("audit.json").read_text("utf-8"))["summary"]
            if told["workspaces"]["ok"] != told["workspaces"]["total"] or not told["findings"]["total"]:
                session.error(f"The audit of the embedded sandbox by uvx is not whole, or found nothing: {told}")
            with tarfile.open(sdist) as archive:
                archive.extractall(folder, filter="data")
            session.install(f"{wheel}[cli,dns,otel,redis]", *group("test"))
            with session.chdir(sdist.name.removesuffix(".tar.gz")):
                session.run("python", "-m", "pytest", "--collect-only", "--quiet", "--quiet")


@nox.session
def audit_deps(session: nox.Session) -> None:
    """Known vulnerabilities in what the package needs, newest and lowest. Asks a public database, so not part of CI."""
    session.install("pip-audit", "uv")
    for resolution in ("highest", "lowest-direct"):
        wanted = str(Path(session.create_tmp(), f"{resolution}.txt"))
        options = ["--quiet", f"--resolution={resolution}", "--all-extras", "--output-file", wanted]
        session.run("uv", "pip", "compile", *options, "pyproject.toml", silent=True)
        session.run("pip-audit", "--strict", "--disable-pip", "--no-deps", "--requirement", wanted)


if __name__ == "__main__":
    nox.main()
