"""The benchmark of streams runs, and what it prints and keeps is what it measured."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import rig
from bench.figures import Figure, Findings, of_runs, percentiles
from bench.machine import Cores
from bench.plot import svg
from bench.report import BEGIN, END, together, with_figures
from bench.rig import Callers
from bench.tables import shown, terminal_table

FOUND = Findings(
    machine={"processor": "one"},
    options={},
    figures=[
        of_runs("burst", "pass-through", "a request", "us", [90, 110, 100]),
        of_runs("burst", "chatnest", "a request", "us", [260, 240, 250]),
        of_runs("growth", "chatnest", "messages", "us", [7], at=1),
        of_runs("growth", "chatnest", "messages", "us", [700], at=2_000),
        of_runs("leaving", "chatnest", "never closed", "%", [0]),
    ],
    notes=["portkey is left out: there is no node"],
)


def test_the_benchmark_measures_and_keeps_its_figures(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", "streams", "--results", str(results)]
    command += ["--scenario", "burst", "ttft", "--servers", "pass-through", "chatnest, least"]
    command += ["--requests", "4", "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    findings = Findings.load(results)
    measured = {(figure.scenario, figure.system) for figure in findings.figures}
    servers = ("pass-through", "chatnest, least")
    assert measured == {(name, server) for name in ("burst", "ttft") for server in servers}
    assert all(f"\n{name} (" in done.stdout for name in ("burst", "ttft"))
    ET.parse(results.with_suffix(".svg"))


def test_a_figure_is_the_median_of_its_runs_and_compared_by_medians() -> None:
    floor, figure, *_ = FOUND.figures
    assert (floor.value, figure.value) == (100, 250)
    assert FOUND.ratio(figure) == 2.5
    assert FOUND.ratio(FOUND.figures[-1]) is None


def test_findings_survive_being_kept(tmp_path: Path) -> None:
    FOUND.save(tmp_path / "new" / "findings.json")
    assert Findings.load(tmp_path / "new" / "findings.json") == FOUND


def test_a_table_has_a_line_for_each_quantity_and_a_column_for_each_system() -> None:
    head, line = terminal_table(FOUND, "burst")
    assert head.split() == ["pass-through", "chatnest"]
    assert line.split() == ["a", "request", "[us]", "100", "250", "(2.5x)"]
    lines = list(terminal_table(FOUND, "growth"))
    assert [line.split("=")[1].split() for line in lines[1:]] == [
        ["1", "[us]", "7"],
        ["2,000", "[us]", "700"],
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.123, "0.12"), (12.34, "12.3"), (1234.5, "1,234"), (-4, "-4")]
)
def test_a_value_is_shown_with_the_digits_that_it_can_bear(value: float, text: str) -> None:
    assert shown(value) == text


def test_percentiles_of_few_values_lie_among_them() -> None:
    assert percentiles([7]) == (7, 7)
    middle, late = percentiles(range(1, 102))
    assert (middle, late) == (51, 100)


def test_a_picture_shows_every_system_and_every_quantity() -> None:
    root = ET.fromstring(svg(FOUND))
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"pass-through", "chatnest", "burst: a request, us", "growth: messages, us"} <= texts
    assert len([element for element in root.iter() if element.tag.endswith("polyline")]) == 1


def test_a_report_replaces_the_figures_of_a_page_and_nothing_else() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n"
    once = with_figures(page, FOUND)
    assert once.startswith(f"# Title\n\n{BEGIN}\n")
    assert once.endswith(f"\n{END}\n\nThe rest.\n")
    assert "| a request [us] | 100 | 250 (2.5x) |" in once
    assert "old" not in once
    assert FOUND.notes[0] in once
    assert with_figures(once, FOUND) == once
    with pytest.raises(SystemExit):
        with_figures("no place", FOUND)


def test_a_later_runs_scenarios_take_the_place_of_an_earlier_ones() -> None:
    again = of_runs("burst", "chatnest", "a request", "us", [1])
    later = Findings(machine={}, options={}, figures=[again], notes=["later", *FOUND.notes])
    both = together([FOUND, later])
    assert [figure for figure in both.figures if figure.scenario == "burst"] == [again]
    assert len(both.figures) == len(FOUND.figures) - 1
    assert (both.machine, both.notes) == (FOUND.machine, [*FOUND.notes, "later"])


@pytest.mark.parametrize(
    ("available", "processes", "server", "others"),
    [
        ([0, 1], 1, {0}, {1}),
        ([0, 1], 2, {0, 1}, {0, 1}),
        ([3], 1, {3}, {3}),
        ([0, 1, 2, 3], 2, {0, 1}, {2, 3}),
    ],
)
def test_a_server_has_its_processors_to_itself_where_there_are_enough(
    available: list[int], processes: int, server: set[int], others: set[int]
) -> None:
    cores = Cores(available)
    assert (cores.server(processes), cores.others(processes)) == (server, others)


def test_callers_take_turns_without_a_gap() -> None:
    callers = Callers(4)
    assert [callers.take(3), callers.take(2), callers.take(1)] == [1, 4, 6]


def test_callers_save_no_more_than_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(rig, "monotonic", lambda: now[0])
    monkeypatch.setattr(rig, "sleep", sleep)
    callers = Callers(2)
    now[0] = 1_000
    callers.take(100)
    assert slept == []
    callers.take(10)
    assert slept == [5]


def test_a_figure_without_a_floor_has_no_ratio() -> None:
    alone = Figure(scenario="burst", system="chatnest", quantity="else", unit="us", value=1)
    assert FOUND.ratio(alone) is None
