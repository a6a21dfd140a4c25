"""Times small pieces of code side by side in one process: in turns, by CPU time, so that drift hits all alike."""

import gc
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from time import process_time
from typing import Any

Samples = dict[str, list[float]]


def in_turns(pieces: Mapping[str, Callable[[], Any]], *, batch: int, rounds: int) -> Samples:
    """Microseconds of CPU per call of each piece, one sample for each round of `batch` calls."""
    samples: Samples = {name: [] for name in pieces}
    for number in range(rounds + 1):
        for name, piece in pieces.items():
            gc.collect()
            began = process_time()
            for _ in range(batch):
                piece()
            if number:  # the first round is the warm-up
                samples[name].append((process_time() - began) / batch * 1e6)
    return samples


async def calls_in_turns(pieces: Mapping[str, Callable[[], Awaitable[Any]]], *, batch: int, rounds: int) -> Samples:
    """The same for coroutine functions, awaited one after the other on the running event loop."""
    samples: Samples = {name: [] for name in pieces}
    for number in range(rounds + 1):
        for name, piece in pieces.items():
            gc.collect()
            began = process_time()
            for _ in range(batch):
                await piece()
            if number:
                samples[name].append((process_time() - began) / batch * 1e6)
    return samples


def medians(samples: Samples) -> dict[str, float]:
    """The median of each piece."""
    return {name: median(values) for name, values in samples.items()}


def difference(samples: Samples, more: str, less: str) -> float:
    """By how much one piece is slower than the other: the median over the rounds."""
    return median(a - b for a, b in zip(samples[more], samples[less], strict=True))


def ratio(samples: Samples, one: str, other: str) -> float:
    """How many times as long one piece takes as the other: the median over the rounds."""
    return median(a / b for a, b in zip(samples[one], samples[other], strict=True))
