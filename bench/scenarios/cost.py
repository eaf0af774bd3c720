"""Processor time of a server: for a request, for a further token at once, for one that comes alone.

A further token's cost is the slope between short and long answers, so that nothing of a request is
in it.
"""

from collections.abc import Iterator, Sequence

from bench.dialects import DIALECTS
from bench.figures import FLOOR, Figure, of_runs
from bench.programs import BrokenError
from bench.rig import Rig, Subject
from bench.scripts import Script
from bench.servers import CHATNEST
from bench.sizes import FEW, MANY

BETWEEN_MS = 10
LIVE_FEW = 20


def measure_burst(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Answers that come in one piece."""
    lengths: dict[str, int] = {}

    def measure(subject: Subject) -> tuple[float, float]:
        if subject.name not in lengths:
            lengths[subject.name] = rig.affordable(subject, MANY)
        requests = lengths[subject.name]
        return rig.cost_us(subject, FEW, requests), rig.cost_us(subject, MANY, requests)

    for name, runs in rig.in_turns(subjects, measure).items():
        yield of_runs(
            "burst", name, f"a request, {FEW.tokens} tokens", "us", (few for few, _ in runs)
        )
        slopes = _slopes(runs, MANY.tokens - FEW.tokens)
        yield of_runs("burst", name, "a further token", "us", slopes)


def measure_live(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Answers with 10 ms between two tokens, so many at a time."""
    for streams in rig.size.live_streams:
        yield from _measure_live(rig, subjects, streams)


def measure_dialects(rig: Rig, subjects: Sequence[Subject]) -> Iterator[Figure]:
    """Answers in one piece in each dialect of ChatNest, beside the floor."""
    asked = [subject for subject in subjects if subject.name == FLOOR]
    for subject in subjects:
        if subject.name == CHATNEST.name:
            asked += [subject.speaking(dialect) for dialect in _spoken(rig, subject)]
    for figure in measure_burst(rig, asked):
        yield of_runs("dialects", figure.system, figure.quantity, figure.unit, figure.runs)


def _measure_live(rig: Rig, subjects: Sequence[Subject], streams: int) -> Iterator[Figure]:
    short = Script(LIVE_FEW, BETWEEN_MS)
    long = Script(rig.size.live_tokens, BETWEEN_MS)

    def measure(subject: Subject) -> tuple[float, float]:
        few = rig.cost_us(subject, short, streams, concurrency=streams)
        return few, rig.cost_us(subject, long, streams, concurrency=streams)

    for name, runs in rig.in_turns(subjects, measure).items():
        slopes = _slopes(runs, long.tokens - short.tokens)
        yield of_runs("live", name, f"a token, {streams} streams", "us", slopes)


def _slopes(runs: Sequence[tuple[float, float]], further: int) -> Iterator[float]:
    return ((many - few) / further for few, many in runs)


def _spoken(rig: Rig, subject: Subject) -> Iterator[str]:
    """The dialects that *subject* answers in; of the others it is noted what it says."""
    for dialect in DIALECTS:
        try:
            rig.ask(subject.speaking(dialect), FEW, 10)
        except BrokenError as error:
            rig.note(f"the dialect {dialect} is left out: {error}")
        else:
            yield dialect
