"""The scenarios by name, in the order in which they are run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from bench.figures import Figure
from bench.rig import Rig, Subject
from bench.scenarios.cost import measure_burst, measure_dialects, measure_live
from bench.scenarios.first_token import measure_first_token
from bench.scenarios.growth import measure_growth
from bench.scenarios.idle import measure_idle
from bench.scenarios.leaving import measure_leaving
from bench.scenarios.memory import measure_memory
from bench.scenarios.workers import measure_workers

Scenario = Callable[[Rig, Sequence[Subject]], Iterator[Figure]]

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "burst": measure_burst,
        "live": measure_live,
        "ttft": measure_first_token,
        "dialects": measure_dialects,
        "leaving": measure_leaving,
        "memory": measure_memory,
        "idle": measure_idle,
        "workers": measure_workers,
        "growth": measure_growth,
    }
)
