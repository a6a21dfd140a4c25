"""The calls of results.json as one SVG: a bar for each arm, cheapest first. No library: it is rectangles and text."""

from html import escape

from .arms import ARMS, OURS
from .budgets import ASYNCIO, AT
from .results import Results

ROW, LEFT, WIDTH = 22, 210, 720
COLOURS = {"ours": "#611f69", "baseline": "#8a8f98", "floor": "#c9cdd3", "sdk": "#5b8def", "http": "#9dbcf5"}
LONGEST = 5.0  # times our own: bars beyond are cut, their numbers are not


def chart(results: Results, group: str = ASYNCIO) -> str:
    """An SVG of CPU per call at 32 concurrent."""
    medians = {arm: results.median(group, arm, AT) or 0.0 for arm in results.samples.get(group, {})}
    ordered = sorted(medians, key=lambda arm: medians[arm])
    most = min(max(medians.values(), default=1.0), LONGEST * medians.get(OURS, 1e9))
    rows = [_row(index, arm, medians[arm], most) for index, arm in enumerate(ordered)]
    height = ROW * (len(ordered) + 1) + 12
    title = f'<text x="8" y="16" font-weight="bold">CPU per call, µs, {AT} at once, {group}</text>'
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#24292f"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style}>'
    paper = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, paper, title, *rows, "</svg>", ""])


def _row(index: int, arm: str, value: float, most: float) -> str:
    top = ROW * (index + 1) + 6
    length = (WIDTH - LEFT - 70) * min(1.0, value / most)
    weight = ' font-weight="bold"' if arm == OURS else ""
    colour = COLOURS[ARMS[arm].kind]
    return (
        f'<text x="{LEFT - 8}" y="{top + 13}" text-anchor="end"{weight}>{escape(arm)}</text>'
        f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{ROW - 6}" rx="2" fill="{colour}"/>'
        f'<text x="{LEFT + length + 6:.1f}" y="{top + 13}"{weight}>{value:,.0f}</text>'
    )
