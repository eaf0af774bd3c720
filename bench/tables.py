"""Findings as tables: for a terminal, and for the documentation."""

from collections.abc import Iterator, Sequence

from bench.figures import FLOOR, Figure, Findings


def terminal_table(findings: Findings, scenario: str) -> Iterator[str]:
    """A line for each quantity of *scenario*; ratios to the pass-through are in brackets."""
    figures = [figure for figure in findings.figures if figure.scenario == scenario]
    systems = _distinct(figure.system for figure in figures)
    yield f"  {'':<46}" + "".join(f"{name:>20}" for name in systems)
    for quantity in _distinct(_quantity(figure) for figure in figures):
        cells = _cells(findings, figures, quantity, systems)
        yield f"  {quantity:<46}" + "".join(f"{cell:>20}" for cell in cells)


def markdown_table(findings: Findings, scenario: str) -> Iterator[str]:
    """The same in Markdown."""
    figures = [figure for figure in findings.figures if figure.scenario == scenario]
    systems = _distinct(figure.system for figure in figures)
    yield f"| | {' | '.join(systems)} |"
    yield "|---" * (len(systems) + 1) + "|"
    for quantity in _distinct(_quantity(figure) for figure in figures):
        yield f"| {quantity} | {' | '.join(_cells(findings, figures, quantity, systems))} |"


def shown(value: float) -> str:
    """*value* with as many digits as it can bear."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _cells(
    findings: Findings, figures: Sequence[Figure], quantity: str, systems: Sequence[str]
) -> list[str]:
    found = {figure.system: figure for figure in figures if _quantity(figure) == quantity}
    return [_cell(findings, found[name]) if name in found else "" for name in systems]


def _cell(findings: Findings, figure: Figure) -> str:
    ratio = findings.ratio(figure)
    if ratio is None or figure.system == FLOOR or figure.unit in ("", "%"):
        return shown(figure.value)
    return f"{shown(figure.value)} ({ratio:.1f}x)"


def _quantity(figure: Figure) -> str:
    place = "" if figure.at is None else f" = {figure.at:,.0f}"
    unit = f" [{figure.unit}]" if figure.unit else ""
    return f"{figure.quantity}{place}{unit}"


def _distinct(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
