"""A group commit over an engine that a test holds in its hand."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from chatnest.adapters.storage.group_commit import GroupCommit
from chatnest.testing.clock import ManualClock
from tests.adapters.storage.group_commit.driving import LIMITS, passes
from tests.adapters.storage.group_commit.engine_double import EngineDouble


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def engine(clock: ManualClock) -> EngineDouble:
    return EngineDouble(clock)


@pytest.fixture
async def quiet_loop() -> AsyncIterator[None]:
    """Afterwards no task is left, and no exception that nobody has read."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    tasks = asyncio.all_tasks()
    yield
    gc.collect()
    await passes()
    left = [task for task in asyncio.all_tasks() - tasks if "TestRunner" not in repr(task)]
    loop.set_exception_handler(before)
    assert complaints == []
    assert left == []


@pytest.fixture
async def store(
    engine: EngineDouble, clock: ManualClock, quiet_loop: None
) -> AsyncIterator[GroupCommit]:
    store = GroupCommit(engine, clock, LIMITS)
    yield store
    engine.gate.set()
    await store.aclose()
    assert engine.under_way == 0


@pytest.fixture(autouse=True)
def nothing_is_left_behind(clock: ManualClock) -> Iterator[None]:
    yield
    assert clock.pending == 0
