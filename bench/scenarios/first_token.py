"""What a server adds to the time to the first token, with one request at a time."""

from collections.abc import Iterator, Sequence

from bench.figures import Figure, of_runs, percentiles
from bench.rig import Rig, Subject
from bench.sizes import FEW

SCENARIO = "ttft"


def measure_first_token(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Percentiles of the waits through each server, less those of the upstream itself."""
    waits: dict[str, list[list[int]]] = {}
    for _ in range(rig.size.runs):
        for subject in (rig.itself, *subjects):
            outcome = rig.ask(subject, FEW, rig.size.first_tokens, concurrency=1)
            waits.setdefault(subject.name, []).append(outcome.first_token_ns)
    direct = [percentiles(run) for run in waits.pop(rig.itself.name)]
    for name, runs in waits.items():
        added = [
            [(wait - alone) / 1e3 for wait, alone in zip(percentiles(run), itself, strict=True)]
            for run, itself in zip(runs, direct, strict=True)
        ]
        yield of_runs(SCENARIO, name, "added at p50", "us", [run[0] for run in added])
        yield of_runs(SCENARIO, name, "added at p99", "us", [run[1] for run in added])
