"""How soon a server hangs up on the upstream when its client has gone, and what that costs.

Both moments are read from the same machine's monotonic clock, one by the client's process and the
other by the upstream's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

from bench.figures import Figure, of_runs, percentiles
from bench.jobs import Leaving, LeftClient
from bench.programs import BrokenError, LoadGenerator
from bench.rig import Rig, Subject, checked
from bench.scenarios.memory import wait_until_open
from bench.scripts import Script
from bench.upstream import LeftAnswer

SCENARIO: Final = "leaving"
# An upstream that is not left by then is never left: the answer would be paid to its end.
NOTICED_WITHIN_S: Final = 2
BUSY_STREAMS: Final = 20
STREAMING: Final = Script(900, 10)
# A thousand tokens a second in all: every server under measurement has some time left.
BUSY: Final = Script(450, 20)


@dataclass(frozen=True, slots=True)
class Moment:
    """When clients go away."""

    name: str
    script: Script
    leaving: Leaving


MOMENTS: Final = (
    Moment("in the middle", STREAMING, Leaving(after_tokens=5)),
    Moment("in a silence", Script(10, 60_000), Leaving(after_tokens=1, pause_ms=50)),
    Moment("before the first token", Script(10, 0, 60_000, 1), Leaving(0, pause_ms=50)),
)


def measure_leaving(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Client gone until upstream closed, with nothing else to do and beside live streams."""
    for subject in subjects:
        try:
            yield from _measure_all(rig, subject)
        except BrokenError as error:
            rig.note(f"{subject.name} is left out: {error}")


def _measure_all(rig: Rig, subject: Subject) -> Iterator[Figure]:
    for moment in MOMENTS:
        yield from _measure(rig, subject, moment, moment.name)
    with _busy(rig, subject):
        for moment in MOMENTS:
            yield from _measure(rig, subject, moment, f"{moment.name}, busy")


def _measure(rig: Rig, subject: Subject, moment: Moment, name: str) -> Iterator[Figure]:
    rig.upstream.forget()
    job = subject.job(moment.script, rig.size.leaves, 1, leaving=moment.leaving)
    clients = checked(rig.load.do(job), subject).left
    closed, never = _fates(rig, clients)
    delays = [
        (closed[client.tag].left_ns - client.left_ns) / 1e6
        for client in clients
        if client.tag in closed
    ]
    share = 100 * never / max(never + len(closed), 1)
    yield of_runs(SCENARIO, subject.name, f"{name}: never closed", "%", [share])
    if delays:
        p50, p99 = percentiles(delays)
        yield of_runs(SCENARIO, subject.name, f"{name}: closed after, p50", "ms", [p50])
        yield of_runs(SCENARIO, subject.name, f"{name}: closed after, p99", "ms", [p99])
        unread = [
            closed[client.tag].tokens - client.tokens for client in clients if client.tag in closed
        ]
        _, most = percentiles(unread)
        yield of_runs(SCENARIO, subject.name, f"{name}: paid and unread, p99", "tokens", [most])
    if never:
        rig.upstream.hang_up()


def _fates(rig: Rig, clients: Sequence[LeftClient]) -> tuple[dict[int, LeftAnswer], int]:
    """Which answers of *clients* were closed, and how many never are, as the upstream sees it.

    It never saw those whose client had gone before the server had asked.
    """
    until = monotonic() + NOTICED_WITHIN_S
    tags = {client.tag for client in clients}
    while True:
        record = rig.upstream.record()
        closed = {left.tag: left for left in record.left if left.tag in tags}
        never = len(tags.intersection(record.open))
        if not never or monotonic() > until:
            return closed, never
        sleep(0.05)


@contextmanager
def _busy(rig: Rig, subject: Subject) -> Iterator[None]:
    """Twenty clients who read one answer after the other, with a token every 20 ms."""
    with LoadGenerator(rig.cores.others()) as others:
        job = subject.job(BUSY, BUSY_STREAMS * 6, BUSY_STREAMS, staying=True)
        others.begin(job)
        wait_until_open(rig, BUSY_STREAMS)
        yield
        others.stop()
        rig.upstream.hang_up()
