"""Runs every job once per round, in another order each time, so that a slow minute of the machine hits all alike."""

import random
import sys
import time

from .fresh import Failure
from .plan import Job
from .results import Results


def run(jobs: list[Job], repeats: int, results: Results) -> None:
    """Fills `results`. A job that fails is not repeated; why it failed is kept."""
    began, order = time.monotonic(), random.Random(7)
    for number in range(repeats):
        todo = [job for job in jobs if number < job.most and job.subject not in results.not_measured.get(job.group, {})]
        order.shuffle(todo)
        for done, job in enumerate(todo):
            _say(f"round {number + 1} of {repeats}, {done + 1} of {len(todo)}: {job.group}: {job.subject}")
            numbers = job.run()
            if isinstance(numbers, Failure):
                results.not_measured.setdefault(job.group, {})[job.subject] = numbers.reason
            else:
                results.add(job.group, job.subject, numbers)
    _say(f"done in {(time.monotonic() - began) / 60:.1f} minutes\n")


def _say(text: str) -> None:
    print(f"\r\033[K{text}" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n", file=sys.stderr)
