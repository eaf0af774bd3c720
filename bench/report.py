"""Puts the figures of a run, and a picture, into the documentation: ``python -m bench report``."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.figures import Findings
from bench.plot import svg
from bench.streams import RESULTS
from bench.tables import markdown_table

PAGE: Final = Path("docs", "performance.md")
KEPT: Final = Path("docs", "performance.json")
PICTURE: Final = Path("docs", "performance.svg")
BEGIN: Final = "<!-- figures: written by `python -m bench report` -->"
END: Final = "<!-- end of the figures -->"

_TITLES: Final = {
    "burst": "Processor time, an answer in one piece",
    "live": "Processor time, a token every 10 ms",
    "ttft": "What is added to the time to the first token",
    "dialects": "Processor time in each dialect",
    "leaving": "Client gone, upstream closed",
    "memory": "Memory of a stream",
    "idle": "Idle streams on one worker",
    "workers": "Two workers against one",
    "growth": "Growth",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add = parser.add_argument_group("report").add_argument
    add(
        "--from",
        dest="sources",
        nargs="+",
        type=Path,
        default=[RESULTS],
        help="the figures of runs; scenarios of a later one replace those of an earlier one",
    )


def write_report(options: argparse.Namespace) -> None:
    """Write the page's tables anew, and keep the figures and a picture of them beside it."""
    findings = together([Findings.load(source) for source in options.sources])
    PAGE.write_text(with_figures(PAGE.read_text(), findings))
    findings.save(KEPT)
    PICTURE.write_text(svg(findings))
    print(f"{PAGE}, {KEPT} and {PICTURE} have the figures.")


def together(runs: Sequence[Findings]) -> Findings:
    """The figures of all of *runs*; those of a later one count where both have a scenario.

    Machine and options are those of the first.
    """
    first, *later = runs
    for run in later:
        measured = {figure.scenario for figure in run.figures}
        kept = [figure for figure in first.figures if figure.scenario not in measured]
        notes = [*first.notes, *(note for note in run.notes if note not in first.notes)]
        first = Findings(
            machine=first.machine,
            options=first.options,
            figures=[*kept, *run.figures],
            notes=notes,
        )
    return first


def with_figures(page: str, findings: Findings) -> str:
    """*page* with the tables of *findings* between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"the page has no place for figures: {BEGIN} and {END}")
    return "".join((before, begin, "\n\n", "\n".join(_figures(findings)), "\n\n", end, after))


def _figures(findings: Findings) -> Iterator[str]:
    for what, said in findings.machine.items():
        yield f"- {what}: {said}"
    measured = {figure.scenario for figure in findings.figures}
    for scenario in [scenario for scenario in _TITLES if scenario in measured]:
        yield f"\n### {_TITLES[scenario]}\n"
        yield from markdown_table(findings, scenario)
    if findings.notes:
        yield "\n### Notes\n"
        yield from (f"- {note}" for note in findings.notes)
    yield f"\n![The same figures as bars and curves]({PICTURE.name})"
