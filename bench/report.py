"""Puts the figures of a run, and a picture, into the documentation: ``python -m bench report``."""

import argparse
from collections.abc import Iterator
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
    add("--from", dest="source", type=Path, default=RESULTS, help="the figures of a run")


def write_report(options: argparse.Namespace) -> None:
    """Write the page's tables anew, and keep the figures and a picture of them beside it."""
    findings = Findings.load(options.source)
    PAGE.write_text(with_figures(PAGE.read_text(), findings))
    findings.save(KEPT)
    PICTURE.write_text(svg(findings))
    print(f"{PAGE}, {KEPT} and {PICTURE} have the figures of {options.source}.")


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
    for scenario in dict.fromkeys(figure.scenario for figure in findings.figures):
        yield f"\n### {_TITLES[scenario]}\n"
        yield from markdown_table(findings, scenario)
    if findings.notes:
        yield "\n### Notes\n"
        yield from (f"- {note}" for note in findings.notes)
    yield f"\n![The same figures as bars and curves]({PICTURE.name})"
