"""The measured numbers: every sample, in the order of the rounds, as results.json keeps them; and what follows from
them. Two subjects are compared round by round, so that what slows down a whole round does not count."""

import json
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from attrs import asdict, define, field

from .arms import AGAIN, RAW, paired
from .fresh import Numbers

FILE = Path(__file__).parent / "results.json"
DIGITS = 5


@define
class Results:
    """`samples[group][subject][metric]` and `not_measured[group][subject]`, with the facts of the machine."""

    machine: dict[str, Any] = field(factory=dict)
    samples: dict[str, dict[str, dict[str, list[float]]]] = field(factory=dict)
    not_measured: dict[str, dict[str, str]] = field(factory=dict)

    def add(self, group: str, subject: str, numbers: Numbers) -> None:
        kept = self.samples.setdefault(group, {}).setdefault(subject, {})
        for metric, value in numbers.items():
            kept.setdefault(metric, []).append(float(f"{value:.{DIGITS}g}"))

    def values(self, group: str, subject: str, metric: str) -> list[float]:
        """The samples, or none where it was not measured."""
        return self.samples.get(group, {}).get(subject, {}).get(metric, [])

    def median(self, group: str, subject: str, metric: str) -> float | None:
        values = self.values(group, subject, metric)
        return median(values) if values else None

    def ratio(self, group: str, one: str, other: str, metric: str) -> float | None:
        """`one` / `other`, the median over the rounds."""
        ratios = self._ratios(group, one, other, metric)
        return median(ratios) if ratios else None

    def noise(self, group: str, metric: str) -> float | None:
        """How far the ratio of two equal arms is from 1: its median, or half its spread if that is more."""
        ratios = self._ratios(group, AGAIN, RAW, metric)
        return max(abs(median(ratios) - 1), spread(ratios) / 2) if ratios else None

    def is_claim(self, group: str, one: str, other: str, metric: str) -> bool:
        """Whether the two differ by more than one arm differs from itself."""
        ratio, noise = self.ratio(group, one, other, metric), self.noise(group, metric)
        return ratio is not None and noise is not None and abs(ratio - 1) > noise

    def _ratios(self, group: str, one: str, other: str, metric: str) -> list[float]:
        """Round by round. Where both were compared with raw aiohttp in their own process, that comparison counts."""
        if to_raw := self.values(group, one, paired(metric)):
            of_other = [1.0] * len(to_raw) if other == RAW else self.values(group, other, paired(metric))
            return [a / b for a, b in zip(to_raw, of_other, strict=False)]
        pairs = zip(self.values(group, one, metric), self.values(group, other, metric), strict=False)
        return [a / b for a, b in pairs]

    def write(self, file: Path = FILE) -> None:
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


def spread(values: list[float]) -> float:
    """The interquartile range."""
    if len(values) < 2:
        return 0.0
    low, _, high = quantiles(values, n=4, method="inclusive")
    return high - low


def read(file: Path = FILE) -> Results:
    """What an earlier run has written."""
    return Results(**json.loads(file.read_text("utf-8")))
