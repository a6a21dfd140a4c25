"""What is measured, as a list of jobs. Each job is one fresh process, run once in every round."""

from collections.abc import Callable
from functools import partial

from attrs import frozen

from .arms import AGAIN, OURS, RAW, TABLE
from .calls import LOOPS
from .fresh import Failure, Numbers, imported, measured
from .probes.names import FAN_OUT, FORMATS, IMPORTS, SCALES

COMPARED_WITH = (RAW, AGAIN, OURS, "bare pool")


@frozen
class Scope:
    """How much to measure. `only` is a part of a group's or subject's name."""

    repeats: int = 6
    quick: bool = False
    million: bool = False
    only: str = ""


@frozen
class Job:
    """One subject of one group. `run` makes the measurement; it is repeated at most `most` times."""

    group: str
    subject: str
    run: Callable[[], Numbers | Failure]
    most: int = 100


def jobs(scope: Scope, url: str) -> list[Job]:
    """Everything in the scope, and what it is compared with."""
    found = [*_calls(scope, url), *_imports(scope), *_small(scope), *_fan_outs(scope, url), *_waits(scope, url)]
    found += _audits(scope, url)
    wanted = [job for job in found if scope.only.lower() in f"{job.group}: {job.subject}".lower()]
    groups = {job.group for job in wanted}
    return [job for job in found if job in wanted or (job.group in groups and job.subject in COMPARED_WITH)]


def _calls(scope: Scope, url: str) -> list[Job]:
    levels, seconds = ([32], 0.3) if scope.quick else ([1, 32, 256], 0.3)
    measure = partial(measured, "calls:measure", url=url, levels=levels, seconds=seconds)
    arms = [arm for arm in TABLE if arm.quick or not scope.quick]
    return [Job(f"calls on {on}", arm.name, partial(measure, name=arm.name, loop=on)) for on in LOOPS for arm in arms]


def _imports(scope: Scope) -> list[Job]:
    names = list(IMPORTS)[: 2 if scope.quick else None]
    return [Job("import", name, partial(imported, IMPORTS[name])) for name in names]


def _small(scope: Scope) -> list[Job]:
    rounds = 41 if scope.quick else 121
    return [
        Job("decode", "chatloom_async", partial(measured, "probes.decoding:measure")),
        Job("retry", "chatloom_async", partial(measured, "probes.retrying:measure", rounds=rounds)),
        Job("one more key", "chatloom_async", partial(measured, "probes.cloning:chatloom")),
        Job("one more key", "openai", partial(measured, "probes.cloning:openai")),
        Job("TLS", "chatloom_async", partial(measured, "probes.handshakes:measure")),
    ]


def _fan_outs(scope: Scope, url: str) -> list[Job]:
    throughput = partial(measured, "probes.fanning:throughput", url=url, number=3_000 if scope.quick else 10_000)
    memory = partial(measured, "probes.fanning:memory", url=url)
    scaling = partial(measured, "probes.fanning:scaling", url=url)
    sizes = [200, 2_000] if scope.quick else [200, 2_000, 20_000]
    scales = SCALES[: 3 if scope.quick else 5 if scope.million else 4]
    return [
        *(Job("fan-out", way, partial(throughput, way=way)) for way in FAN_OUT),
        *(Job("fan-out memory", way, partial(memory, way=way, sizes=sizes), most=2) for way in FAN_OUT),
        *(Job("scaling", f"{number:,} calls", partial(scaling, number=number), most=2) for number in scales),
    ]


def _waits(scope: Scope, url: str) -> list[Job]:
    queue = partial(measured, "probes.waiting:queue", calls=10_000, seconds=3.0 if scope.quick else 8.0)
    return [
        Job("event loop stall", "chatloom_async", partial(measured, "probes.waiting:stall", url=url)),
        Job("10,000 calls waiting", "chatloom_async", queue, most=2),
    ]


def _audits(scope: Scope, url: str) -> list[Job]:
    workspaces, rows = (100, 2_000) if scope.quick else (400, 20_000)
    waiting = partial(measured, "probes.auditing:waiting", workspaces=1_000, concurrency=256)
    formats = partial(measured, "probes.reporting:formats", workspaces=rows)
    return [
        Job("audit", "plain HTTP", partial(measured, "probes.auditing:busy", url=url, workspaces=workspaces)),
        Job("audit", "TLS 1.3", partial(measured, "probes.auditing:tls", workspaces=workspaces)),
        Job("audit", "1,000 at 200 ms", waiting, most=3),
        Job("start of the program", "chatloom", partial(measured, "probes.reporting:starts", url=url), most=3),
        *(Job(f"report on {rows:,}", name, partial(formats, name=name), most=2) for name in FORMATS),
    ]
