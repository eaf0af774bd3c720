"""Memory of an open stream: a thousand of them, each with a token a second."""

from collections.abc import Iterator, Sequence
from time import monotonic, sleep

from bench.figures import Figure, of_runs
from bench.machine import most_streams
from bench.rig import Rig, Subject, checked
from bench.scripts import Script

EACH_SECOND = Script(600, 1_000)
OPENING = 50
SETTLES_S = 3
NO_MORE_AFTER_S = 15


def measure_memory(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """How much more resident memory a server has with the streams than without."""
    streams = most_streams(rig.size.streams)
    for subject in subjects:
        before = subject.running.resident_bytes
        rig.upstream.forget()
        job = subject.job(EACH_SECOND, streams, streams, opening=OPENING, staying=True)
        rig.load.begin(job)
        opened = wait_until_open(rig, streams)
        sleep(SETTLES_S)
        after = subject.running.resident_bytes
        outcome = rig.load.stop()
        rig.upstream.hang_up()
        if opened < streams or outcome.open_at_stop < streams:
            rig.note(
                f"{subject.name} had {outcome.open_at_stop} of {streams} streams open; "
                f"failures: {outcome.errors or 'none'}"
            )
            continue
        checked(outcome, subject)
        kib = (after - before) / streams / 1024
        yield of_runs("memory", subject.name, f"a stream, of {streams}", "KiB", [kib])


def wait_until_open(rig: Rig, streams: int) -> int:
    """How many answers the upstream has open, once it has so many or no more come."""
    opened, changed = 0, monotonic()
    while opened < streams and monotonic() < changed + NO_MORE_AFTER_S:
        sleep(0.2)
        now = len(rig.upstream.record().open)
        if now != opened:
            opened, changed = now, monotonic()
    return opened
