"""Ten thousand open streams that say nothing, on one worker, and a new request beside them."""

from collections.abc import Iterator, Sequence
from time import sleep

from bench.figures import FLOOR, Figure, of_runs, percentiles
from bench.machine import most_streams
from bench.programs import LoadGenerator
from bench.rig import Rig, Subject
from bench.scenarios.memory import OPENING, wait_until_open
from bench.scripts import Script
from bench.servers import CHATNEST, PASS_THROUGH, Server
from bench.sizes import FEW

SCENARIO = "idle"
SILENT = Script(10, 60_000)
PROBES_EVERY_MS = 10
# Nobody opens more than sixty streams in a minute.
CALLERS_FOR_STREAMS = 50


def measure_idle(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """How many of the streams were open to the end, and the waits of requests beside them."""
    streams = most_streams(rig.size.idle_streams)
    if streams < rig.size.idle_streams:
        rig.note(
            f"{streams} idle streams and not {rig.size.idle_streams}: this machine lets a process "
            "have no more open files"
        )
    names = {subject.name for subject in subjects} & {FLOOR, CHATNEST.name}
    for server in (PASS_THROUGH, CHATNEST):
        if server.name in names:
            yield from _measure(rig, server, streams)


def _measure(rig: Rig, server: Server, streams: int) -> Iterator[Figure]:
    callers = max(1, streams // CALLERS_FOR_STREAMS)
    with (
        rig.serving(server, callers=callers) as subject,
        LoadGenerator(rig.cores.others()) as holding,
    ):
        alone = rig.ask(subject, FEW, rig.size.first_tokens, concurrency=1)
        before = subject.running.resident_bytes
        rig.upstream.forget()
        holding.begin(subject.job(SILENT, streams, streams, opening=OPENING, staying=True))
        opened = wait_until_open(rig, streams)
        sleep(1)
        memory = (subject.running.resident_bytes - before) / max(opened, 1) / 1024
        beside = rig.ask(
            subject, FEW, 3 * rig.size.first_tokens, concurrency=1, every_ms=PROBES_EVERY_MS
        )
        held = holding.stop()
        rig.upstream.hang_up()
        if held.errors:
            log = subject.running.last_words
            rig.note(f"{subject.name} with idle streams: {held.errors}. {log}".strip())
        name = subject.name
        yield of_runs(SCENARIO, name, "streams asked for", "", [streams])
        yield of_runs(SCENARIO, name, "open at the end", "", [held.open_at_stop])
        yield of_runs(SCENARIO, name, "a stream", "KiB", [memory])
        for beside_them, outcome in (("alone", alone), ("beside them", beside)):
            p50, p99 = percentiles([wait / 1e6 for wait in outcome.first_token_ns])
            yield of_runs(SCENARIO, name, f"first token {beside_them}, p50", "ms", [p50])
            yield of_runs(SCENARIO, name, f"first token {beside_them}, p99", "ms", [p99])
