"""Results as Markdown tables: the same on the terminal and in the README."""

from statistics import median

from .arms import AGAIN, ARMS, OURS, RAW
from .budgets import BUDGETS
from .results import Results, spread

CALLS = "calls on "


def tables(results: Results) -> str:
    """Every table, the budgets first."""
    groups = sorted(results.samples)
    parts = [_machine(results), budgets(results)]
    parts += [calls(results, group) for group in groups if group.startswith(CALLS)]
    parts += [others(results, [group for group in groups if not group.startswith(CALLS)]), _not_measured(results)]
    return "\n\n".join(part for part in parts if part)


def budgets(results: Results) -> str:
    """Each promise, and whether it is kept."""
    rows = []
    for budget in BUDGETS:
        value = budget.value(results)
        shown = "" if value is None else f"{value:.2f} {budget.unit}".rstrip()
        rows.append(
            [budget.what, f"{budget.side} {budget.limit:g} {budget.unit}".rstrip(), shown, budget.verdict(results)]
        )
    return _table(["budget", "limit", "measured", ""], rows)


def calls(results: Results, group: str) -> str:
    """CPU per call of each arm, cheapest first by the level of concurrency that the budgets are about."""
    subjects = results.samples[group]
    levels = [metric for metric in next(iter(subjects.values())) if metric.isdigit()]
    at = "32" if "32" in levels else levels[0]
    ordered = sorted(subjects, key=lambda arm: results.median(group, arm, at) or 0.0)
    head = [f"{group}, CPU us per call", *(f"{level} at once" for level in levels), f": {RAW}", f": {OURS}", ""]
    rows = [
        [
            arm,
            *(_cell(results.values(group, arm, level)) for level in levels),
            _ratio(results, group, arm, RAW, at),
            _ratio(results, group, arm, OURS, at),
            ARMS[arm].what if arm in ARMS else "",
        ]
        for arm in ordered
    ]
    noise = ", ".join(f"{results.noise(group, level) or 0:.1%}" for level in levels)
    legend = (
        f"Noise ({AGAIN} : {RAW}): {noise}. Ratios are at {at}, each of two arms in one process by turns, so they are "
        "not quotients of the columns; ~ is within the noise: no claim."
    )
    return f"{_table(head, rows)}\n\n{legend}"


def others(results: Results, groups: list[str]) -> str:
    """Everything that is not calls, one row for each number."""
    rows = [
        [group, subject, metric, _cell(values)]
        for group in groups
        for subject, metrics in sorted(results.samples[group].items())
        for metric, values in metrics.items()
    ]
    return _table(["what", "of", "metric", "median"], rows) if rows else ""


def _cell(values: list[float]) -> str:
    """The median, and half the interquartile range."""
    return f"{_number(median(values))} ±{_number(spread(values) / 2)}" if values else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(results: Results, group: str, one: str, other: str, metric: str) -> str:
    ratio = results.ratio(group, one, other, metric)
    if ratio is None or one == other:
        return ""
    return f"{ratio:.2f}" if results.is_claim(group, one, other, metric) else f"~{ratio:.2f}"


def _machine(results: Results) -> str:
    facts = dict(results.machine)
    versions = ", ".join(f"{name} {number}" for name, number in facts.pop("versions", {}).items())
    return f"{', '.join(f'{name}: {value}' for name, value in facts.items())}.\n{versions}."


def _not_measured(results: Results) -> str:
    groups = sorted(results.not_measured.items())
    rows = [[group, subject, reason] for group, failed in groups for subject, reason in failed.items()]
    return _table(["not measured", "", "reason"], rows) if rows else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * max(3, width) for width in widths], *rows]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)
