"""What a run of the benchmark found, as it is printed and kept."""

from collections.abc import Iterable
from pathlib import Path
from statistics import median, quantiles

import msgspec

FLOOR = "pass-through"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number: of *system*, in *unit*; *runs* are what it is the median of.

    *at* is where on a curve it lies, if it is a point of one. Less is better, but where
    *more_is_better*.
    """

    scenario: str
    system: str
    quantity: str
    unit: str
    value: float
    runs: tuple[float, ...] = ()
    at: float | None = None
    more_is_better: bool = False


class Findings(msgspec.Struct, kw_only=True):
    """Everything that a run found, and where. *notes* are what a reader has to know beside it."""

    machine: dict[str, str]
    options: dict[str, str]
    figures: list[Figure] = []
    notes: list[str] = []

    def save(self, path: Path) -> None:
        """Write all of it to *path*."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def load(cls, path: Path) -> "Findings":
        """What was saved at *path*."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def ratio(self, figure: Figure) -> float | None:
        """*figure* to the same of the pass-through: the ratio of the two medians."""
        for other in self.figures:
            same = (other.scenario, other.quantity, other.at)
            if other.system == FLOOR and same == (figure.scenario, figure.quantity, figure.at):
                return figure.value / other.value if other.value > 0 else None
        return None


def of_runs(
    scenario: str,
    system: str,
    quantity: str,
    unit: str,
    runs: Iterable[float],
    *,
    at: float | None = None,
    more_is_better: bool = False,
) -> Figure:
    """The median of *runs*."""
    measured = tuple(round(run, 3) for run in runs)
    return Figure(
        scenario=scenario,
        system=system,
        quantity=quantity,
        unit=unit,
        value=round(median(measured), 3),
        runs=measured,
        at=at,
        more_is_better=more_is_better,
    )


def percentiles(values: Iterable[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile of *values*, of which there is at least one."""
    found = sorted(values)
    if len(found) == 1:
        return found[0], found[0]
    cuts = quantiles(found, n=100, method="inclusive")
    return cuts[49], cuts[98]
