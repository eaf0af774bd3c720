"""What a server adds to the time to the first token, with one request at a time."""

from collections.abc import Iterator, Sequence

from bench.figures import Figure, of_runs, percentiles
from bench.rig import Rig, Subject
from bench.sizes import FEW

SCENARIO = "ttft"


def measure_first_token(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Percentiles of the waits through each server, less those of the upstream itself."""

    def measure(subject: Subject) -> tuple[float, float]:
        outcome = rig.ask(subject, FEW, rig.size.first_tokens, concurrency=1)
        return percentiles(outcome.first_token_ns)

    waits = rig.in_turns((rig.itself, *subjects), measure)
    direct = waits.pop(rig.itself.name)
    for name, runs in waits.items():
        for place, quantity in enumerate(("added at p50", "added at p99")):
            added = [
                (wait[place] - alone[place]) / 1e3 for wait, alone in zip(runs, direct, strict=True)
            ]
            yield of_runs(SCENARIO, name, quantity, "us", added)
