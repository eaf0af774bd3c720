"""Findings as a picture: bars for what is compared, lines for what grows, logarithmic both."""

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

from bench.figures import Figure, Findings
from bench.tables import shown

WIDTH: Final = 760
LABEL: Final = 190
ROW: Final = 20
CURVE: Final = 180
MARGIN: Final = 16
BAR, LINE, TEXT = "#4a7a9c", "#b5542f", "#222"


def svg(findings: Findings) -> str:
    """All of *findings*, a panel for each quantity."""
    panels: list[str] = []
    y = MARGIN
    for figures in _panels(findings.figures):
        drawn, height = _curve(figures) if figures[0].at is not None else _bars(figures)
        panels.append(f'<g transform="translate(0 {y})">{drawn}</g>')
        y += height + MARGIN
    style = f"font:12px sans-serif;fill:{TEXT}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" style="{style}">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panels(figures: Sequence[Figure]) -> Iterator[list[Figure]]:
    panels: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        panels.setdefault((figure.scenario, figure.quantity), []).append(figure)
    yield from panels.values()


def _title(figure: Figure) -> str:
    unit = f", {figure.unit}" if figure.unit else ""
    title = escape(f"{figure.scenario}: {figure.quantity}{unit}")
    return f'<text x="{MARGIN}" y="12" font-weight="bold">{title}</text>'


def _bars(figures: Sequence[Figure]) -> tuple[str, int]:
    scale = _Scale([figure.value for figure in figures], WIDTH - LABEL - 110)
    rows = [_title(figures[0])]
    for number, figure in enumerate(figures):
        y = 20 + number * ROW
        length = scale.at(figure.value)
        rows.append(
            f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(figure.system)}</text>'
            f'<rect x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="{ROW - 5}" fill="{BAR}"/>'
            f'<text x="{LABEL + length + 6:.1f}" y="{y + 13}">{shown(figure.value)}</text>'
        )
    return "".join(rows), 20 + len(figures) * ROW


def _curve(figures: Sequence[Figure]) -> tuple[str, int]:
    across = _Scale([figure.at or 0 for figure in figures], WIDTH - LABEL - 110)
    up = _Scale([0.1, *(figure.value for figure in figures)], CURVE - 60)
    drawn = [_title(figures[0])]
    places = [
        (LABEL + across.at(figure.at or 0), CURVE - 24 - up.at(figure.value)) for figure in figures
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    for (x, y), figure in zip(places, figures, strict=True):
        drawn.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{LINE}"/>'
            f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{shown(figure.value)}</text>'
            f'<text x="{x:.1f}" y="{CURVE - 4}" text-anchor="middle">{shown(figure.at or 0)}</text>'
        )
    return "".join(drawn), CURVE


class _Scale:
    """From the power of ten under the least of *values* to the one over the largest."""

    def __init__(self, values: Sequence[float], length: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self._low = floor(log10(min(positive)) - 0.01)
        self._high = max(ceil(log10(max(positive))), self._low + 1)
        self._length = length

    def at(self, value: float) -> float:
        """How far along *value* is; what is not positive is at the beginning."""
        if value <= 0:
            return 0
        return (log10(value) - self._low) / (self._high - self._low) * self._length
