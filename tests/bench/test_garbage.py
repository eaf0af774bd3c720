"""A request that is over is freed at once: no cycle of objects waits for a garbage collection.

A collection stops every stream of the process, and looks at whatever was made since the last one.
"""

import gc
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from chatnest.adapters.clock import SystemClock
from chatnest.domain.watchdog import Watchdog
from tests.bench.counting import FEW, stage


@contextmanager
def garbage() -> Generator[Counter[str], None, None]:
    """Which objects of the product a collection has to free that were made meanwhile."""
    left: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield left
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = [type(each) for each in gc.garbage]
        left.update(kind.__name__ for kind in kinds if kind.__module__.startswith("chatnest."))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_an_answer_leaves_nothing_for_the_garbage_collector() -> None:
    async with stage() as warm:
        with garbage() as left:
            await warm.at_once(FEW)
            await warm.one_by_one(FEW)
    assert not left


def test_a_cycle_is_noticed() -> None:
    class Owner:
        def __init__(self) -> None:
            self.watchdog = Watchdog(SystemClock(), self.late)

        def late(self) -> None:
            """Nothing: it is never late."""

    with garbage() as left:
        Owner()
    assert left == {"Watchdog": 1, "SystemClock": 1}
