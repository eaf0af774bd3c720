"""Closing a group commit, and reading a ledger through it, take a bounded time."""

import asyncio
from typing import Any

import pytest

from chatnest.adapters.storage.group_commit import GroupCommit
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, LedgerPage
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import NOON, read_ledger
from tests.adapters.storage.group_commit.driving import (
    LIMITS,
    passes,
    results,
    sending,
    stored,
)
from tests.adapters.storage.group_commit.engine_double import EngineDouble


async def test_closing_finishes_what_was_begun_and_refuses_the_rest(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.gate.clear()
    tasks = sending(store, 12)
    await passes()
    closing = [asyncio.ensure_future(store.aclose()) for _ in range(2)]
    await passes()
    assert {type(task.exception()) for task in tasks[8:]} == {StoreUnavailableError}
    assert not any(task.done() for task in (*tasks[:8], *closing))
    with pytest.raises(StoreUnavailableError):
        await store.transact(Keys(), lambda rows: Change(None))
    engine.gate.set()
    assert (await results(tasks))[:8] == list(range(8))
    await results(closing)
    assert engine.closed == 2


async def test_closing_lets_questions_be_answered_before_the_engine_closes(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.gate.clear()
    asked = asyncio.ensure_future(store.now())
    await passes()
    closing = asyncio.ensure_future(store.aclose())
    await passes()
    engine.gate.set()
    assert isinstance((await results([asked, closing]))[0], int)
    assert engine.under_way_at_close == 0


async def test_closing_at_once_refuses_what_was_not_begun(
    store: GroupCommit, engine: EngineDouble
) -> None:
    tasks = sending(store, 3)
    await asyncio.sleep(0)
    await store.aclose()
    assert {type(answer) for answer in await results(tasks)} <= {int, StoreUnavailableError}
    assert len(await stored(engine)) == sum(not task.exception() for task in tasks)


async def test_closing_ends_a_batch_that_is_taken_apart(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.poison = "h3"
    engine.gate.clear()
    tasks = sending(store, 8)
    await passes()
    closing = asyncio.ensure_future(store.aclose())
    await passes()
    engine.gate.set()
    answers = await results([*tasks, closing])
    assert {type(answer) for answer in answers[:8]} == {StoreUnavailableError}
    assert engine.batches == [8]


async def test_an_engine_that_fails_to_close_says_so(clock: ManualClock) -> None:
    class Failing(EngineDouble):
        async def aclose(self) -> None:
            raise OSError("the disk is full")

    store = GroupCommit(Failing(clock), clock, LIMITS)
    assert await results(sending(store, 1)) == [0]
    with pytest.raises(OSError, match="full"):
        await store.aclose()
    with pytest.raises(StoreUnavailableError):
        await store.now()


async def test_an_engine_that_never_closes_is_left(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    engine.gate.clear()
    closing = asyncio.ensure_future(store.aclose())
    await clock.run_for(LIMITS.answer_us)
    assert closing.done()
    await closing


async def test_closing_gives_a_batch_up_that_is_not_answered(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    assert await results(sending(store, 1)) == [0]
    await clock.run_for(LIMITS.answer_us // 2)
    engine.gate.clear()
    tasks = sending(store, 3)
    await passes()
    closing = asyncio.ensure_future(store.aclose())
    await clock.run_for(LIMITS.answer_us)
    assert {type(task.exception()) for task in tasks} == {StoreUnavailableError}
    engine.gate.set()
    await results([closing])


async def test_every_question_has_its_time(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    await results(sending(store, 2))
    engine.gate.clear()
    asked = [
        asyncio.ensure_future(question)
        for question in (
            store.due_holds(NOON, 1),
            store.closed_holds(NOON, 1),
            store.now(),
            read_ledger(store),
        )
    ]
    await clock.run_for(LIMITS.answer_us - 1)
    assert not any(task.done() for task in asked)
    await clock.run_for(1)
    assert {type(task.exception()) for task in asked} == {StoreUnavailableError}


async def test_the_pages_of_a_snapshot_have_their_time_each(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    await results(sending(store, 3))
    pages = store.snapshot()
    for _ in range(2):
        engine.gate.clear()
        asked = asyncio.ensure_future(anext(pages))
        await clock.run_for(LIMITS.answer_us - 1)
        engine.gate.set()
        assert len((await asked).holds) == 1
    engine.gate.clear()
    last: asyncio.Future[LedgerPage] = asyncio.ensure_future(anext(pages))
    await clock.run_for(LIMITS.answer_us)
    with pytest.raises(StoreUnavailableError):
        await last


async def test_a_snapshot_of_an_engine_that_does_not_stop_is_left_in_time(
    store: GroupCommit, engine: EngineDouble, clock: ManualClock
) -> None:
    await results(sending(store, 2))
    engine.stubborn = True
    engine.gate.clear()
    asked = asyncio.ensure_future(read_ledger(store))
    await clock.run_for(2 * LIMITS.answer_us)
    assert isinstance(asked.exception(), StoreUnavailableError)


def test_a_loop_that_ends_in_the_middle_leaves_nobody_waiting() -> None:
    """As when a server is interrupted: everything is cancelled at once."""
    clock = ManualClock()

    async def interrupted() -> list[Any]:
        engine = EngineDouble(clock)
        engine.gate.clear()
        store = GroupCommit(engine, clock, LIMITS)
        tasks = sending(store, 12)
        await passes()
        return tasks

    assert all(task.cancelled() for task in asyncio.run(interrupted()))
