"""What a request costs as things grow: history, prompt, accounts, journal, open streams."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from bench.figures import Figure, of_runs
from bench.ledger_rows import fill_accounts, fill_journal
from bench.machine import most_streams
from bench.programs import LoadGenerator
from bench.rig import Rig, Subject
from bench.scenarios.memory import OPENING, wait_until_open
from bench.scripts import Script
from bench.servers import CHATNEST
from bench.sizes import FEW

SCENARIO = "growth"
SILENT = Script(10, 60_000)
TOO_LARGE = "request_too_large"
WATCHED_S = 2


def measure_growth(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Curves: processor time of a request at each size."""
    for subject in subjects:
        if subject.name == CHATNEST.name:
            yield from _messages(rig, subject)
            yield from _prompt(rig, subject)
            yield from _rows(rig, "accounts in the ledger", fill_accounts)
            yield from _rows(rig, "calls in the journal", fill_journal)
            yield from _open_streams(rig)


def _messages(rig: Rig, subject: Subject) -> Iterator[Figure]:
    for messages in rig.size.history:
        yield _point(rig, subject, "messages in the history", messages, history=messages)


def _prompt(rig: Rig, subject: Subject) -> Iterator[Figure]:
    """A question over the limit of a request's tokens is refused: then that is what is measured."""
    for size in rig.size.prompt_bytes:
        yield _point(
            rig, subject, "bytes of the question", size, prompt_bytes=size, refused_for=TOO_LARGE
        )


def _rows(rig: Rig, what: str, fill: Callable[[Path, int], None]) -> Iterator[Figure]:
    for rows in rig.size.rows:
        with TemporaryDirectory() as kept:
            folder = Path(kept)
            with rig.serving(CHATNEST, folder=folder):
                pass
            fill(folder / "ledger.sqlite3", rows)
            with rig.serving(CHATNEST, folder=folder) as subject:
                yield _point(rig, subject, what, rows)


def _open_streams(rig: Rig) -> Iterator[Figure]:
    """What the streams themselves cost meanwhile is taken off."""
    for wanted in rig.size.open_streams:
        streams = most_streams(wanted)
        with (
            rig.serving(CHATNEST, callers=max(64, streams // 50)) as subject,
            LoadGenerator(rig.cores.others()) as holding,
        ):
            if streams:
                job = subject.job(SILENT, streams, streams, opening=OPENING, staying=True)
                holding.begin(job)
                wait_until_open(rig, streams)
            before = subject.running.processor_time_ns
            sleep(WATCHED_S)
            idle_us_per_s = (subject.running.processor_time_ns - before) / 1e3 / WATCHED_S
            runs = []
            for _ in range(rig.size.runs):
                before = subject.running.processor_time_ns
                outcome = rig.ask(subject, FEW, rig.size.requests)
                spent_us = (subject.running.processor_time_ns - before) / 1e3
                spent_us -= idle_us_per_s * outcome.elapsed_ns / 1e9
                runs.append(spent_us / rig.size.requests)
            yield of_runs(SCENARIO, subject.name, "open streams", "us", runs, at=streams)
            if streams:
                holding.stop()
        rig.upstream.hang_up()


def _point(rig: Rig, subject: Subject, what: str, at: int, **more: Any) -> Figure:
    requests = rig.affordable(subject, FEW, **more)
    runs = [rig.cost_us(subject, FEW, requests, **more) for _ in range(rig.size.runs)]
    return of_runs(SCENARIO, subject.name, what, "us", runs, at=at)
