"""Two workers on one ledger against one, with accounts in SQLite and in Redis."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, of_runs
from bench.programs import Program, free_port
from bench.rig import Rig, Subject
from bench.servers import CHATNEST
from bench.sizes import FEW

SCENARIO = "workers"
CROWD = 50


def measure_workers(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Processor time of a request and requests a second, which need a processor for each worker."""
    if CHATNEST.name not in {subject.name for subject in subjects}:
        return
    if len(rig.cores.server(2)) < 2 or rig.cores.others(2) & rig.cores.server(2):
        rig.note("two workers share their processors with the load: fewer requests a second")
    with _redis(rig) as redis:
        for store, url in (("SQLite", None), ("Redis", redis)):
            if store == "Redis" and url is None:
                rig.note("Redis is left out: there is no redis-server on the path")
            else:
                yield from _compare(rig, store, url)


def _compare(rig: Rig, store: str, url: str | None) -> Iterator[Figure]:
    costs: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        subjects = {
            f"{store}, {number}": stack.enter_context(
                rig.serving(CHATNEST, workers=workers, store=url and f"{url}?ledger=w{workers}")
            )
            for workers, number in ((1, "one worker"), (2, "two workers"))
        }
        for _ in range(rig.size.runs):
            for name, subject in subjects.items():
                before = subject.running.processor_time_ns
                outcome = rig.ask(subject, FEW, rig.size.requests, concurrency=CROWD)
                spent_us = (subject.running.processor_time_ns - before) / 1e3
                costs.setdefault(name, []).append(spent_us / outcome.answered)
                rates.setdefault(name, []).append(outcome.answered * 1e9 / outcome.elapsed_ns)
    for name, runs in costs.items():
        yield of_runs(SCENARIO, name, f"a request, {FEW.tokens} tokens", "us", runs)
        yield of_runs(SCENARIO, name, "requests", "/s", rates[name], more_is_better=True)
    one, two = costs
    # Where workers share processors with the load, this tells what their own would give.
    times = [2 * alone / shared for alone, shared in zip(costs[one], costs[two], strict=True)]
    quantity = "as many requests as one, on a processor each"
    yield of_runs(SCENARIO, two, quantity, "times", times, more_is_better=True)


@contextmanager
def _redis(rig: Rig) -> Iterator[str | None]:
    """The URL of a Redis of one's own, beside the load; None where none is installed."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        yield None
        return
    port = free_port()
    with TemporaryDirectory() as folder:
        command = (program, "--port", str(port), "--bind", "127.0.0.1", "--save", "")
        durable = ("--dir", folder, "--appendonly", "yes")
        with Program(
            (*command, *durable), cores=rig.cores.others(), log=Path(folder, "log")
        ) as redis:
            redis.wait_for_port(port, 20)
            yield f"redis://127.0.0.1:{port}/0"
