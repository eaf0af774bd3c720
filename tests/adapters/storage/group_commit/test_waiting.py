"""Whoever waits for a group commit has a place in a bounded queue, and a bounded time."""

import asyncio

import pytest

from chatnest.adapters.storage.group_commit import GroupCommit
from chatnest.domain.errors import BusyError, StoreUnavailableError
from chatnest.domain.ledger import Change, Rows
from chatnest.testing.clock import ManualClock
from tests.adapters.storage.group_commit.driving import (
    LIMITS,
    naming,
    passes,
    results,
    sending,
    stored,
)
from tests.adapters.storage.group_commit.engine_double import EngineDouble


async def test_what_the_backlog_has_no_room_for_is_not_begun(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.gate.clear()
    tasks = sending(store, 21)
    await passes()
    assert isinstance(tasks[20].exception(), BusyError)
    engine.gate.set()
    assert (await results(tasks))[:20] == list(range(20))
    assert "h20" not in await stored(engine)
    assert await results(sending(store, 1)) == [0]


async def test_callers_that_left_take_no_room_in_the_backlog(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.gate.clear()
    tasks = sending(store, 20)
    await passes()
    for task in tasks[8:]:
        task.cancel()
    await passes()
    further = sending(store, 12)
    await passes()
    assert not any(task.done() for task in further)
    engine.gate.set()
    assert await results(further) == list(range(12))
    assert engine.batches == [8, 8, 4]


async def test_an_answer_that_takes_too_long_is_given_up(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    engine.gate.clear()
    tasks = sending(store, 3)
    await clock.run_for(LIMITS.answer_us - 1)
    assert not any(task.done() for task in tasks)
    await clock.run_for(1)
    assert {type(task.exception()) for task in tasks} == {StoreUnavailableError}
    engine.gate.set()
    assert await results(sending(store, 2)) == [0, 1]


async def test_nobody_waits_longer_than_for_a_turn_and_an_answer(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    engine.gate.clear()
    tasks = sending(store, 20)
    await clock.run_for(2 * LIMITS.answer_us)
    assert {type(task.exception()) for task in tasks} == {StoreUnavailableError}
    assert engine.batches == [8, 8]


async def test_a_late_answer_of_the_engine_is_for_nobody(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    engine.stubborn = True
    engine.gate.clear()
    tasks = sending(store, 3)
    await clock.run_for(LIMITS.answer_us)
    assert {type(task.exception()) for task in tasks} == {StoreUnavailableError}
    further = sending(store, 5)
    await passes()
    engine.gate.set()
    assert await results(further) == list(range(5))
    assert await stored(engine) == {f"h{index}" for index in range(5)}


async def test_a_late_failure_of_the_engine_is_for_nobody(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    engine.stubborn = True
    engine.error = OSError("much later")
    engine.gate.clear()
    tasks = sending(store, 3)
    await clock.run_for(LIMITS.answer_us)
    engine.gate.set()
    assert {type(answer) for answer in await results(tasks)} == {StoreUnavailableError}
    await passes()


async def test_a_caller_that_leaves_while_it_waits_is_skipped(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.gate.clear()
    tasks = sending(store, 12)
    await passes()
    tasks[9].cancel()
    await passes()
    assert tasks[9].cancelled()
    engine.gate.set()
    await results(tasks)
    assert engine.batches == [8, 3]
    assert "h9" not in await stored(engine)


async def test_a_caller_that_leaves_a_running_batch_changes_nothing_for_the_others(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.gate.clear()
    tasks = sending(store, 4)
    await passes()
    tasks[1].cancel()
    await passes()
    assert tasks[1].cancelled()
    engine.gate.set()
    del tasks[1]
    assert await results(tasks) == [0, 2, 3]
    assert await stored(engine) == {"h0", "h1", "h2", "h3"}


@pytest.mark.parametrize("passes_later", range(6))
async def test_a_caller_that_is_cancelled_as_its_error_comes_leaves_no_complaint(
    store: GroupCommit, passes_later: int
) -> None:
    """The error is on its way already when the cancel overtakes it."""

    def cancel_after(passes: int) -> None:
        if passes:
            asyncio.get_running_loop().call_soon(cancel_after, passes - 1)
        else:
            task.cancel()

    def fail(rows: Rows) -> Change[None]:
        cancel_after(passes_later)
        raise LookupError("the step's own")

    task = asyncio.ensure_future(store.transact(*naming("h", fail)))
    (told,) = await results([task])
    assert isinstance(told, LookupError | asyncio.CancelledError)
