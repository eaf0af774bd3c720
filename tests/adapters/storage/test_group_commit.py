"""Group commit over an engine that a test holds in its hand."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from chatnest.adapters.storage.group_commit import CommitLimits, GroupCommit
from chatnest.domain.errors import BusyError, ConfigurationError, StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, LedgerPage, Rows
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import NOON, open_hold, read_ledger, writing
from tests.adapters.storage.engine_double import EngineDouble

LIMITS = CommitLimits(batch=8, waiting=20, answer_us=1_000)


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


async def passes() -> None:
    """Let every task run until it waits for something else than its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def naming(hold_id: str, step: Callable[[Rows], Change[Any]]) -> tuple[Keys, Any]:
    return Keys(holds=(hold_id,)), step


def sending(store: GroupCommit, count: int, order: list[int] | None = None) -> list[Any]:
    """Tasks of steps that name a hold each, write it, and give their number back."""

    def step(index: int) -> Callable[[Rows], Change[int]]:
        def run(rows: Rows) -> Change[int]:
            if order is not None:
                order.append(index)
            return Change(index, holds=(open_hold(f"h{index}", NOON),))

        return run

    return [
        asyncio.ensure_future(store.transact(*naming(f"h{index}", step(index))))
        for index in range(count)
    ]


async def results(tasks: list[Any]) -> list[Any]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def stored(engine: EngineDouble) -> set[str]:
    return set((await read_ledger(engine)).holds)


async def test_steps_that_wait_together_are_one_transaction_in_their_order(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.gate.clear()
    order: list[int] = []
    first = asyncio.ensure_future(store.transact(*writing(holds=[open_hold("first", NOON)])))
    await passes()
    others = sending(store, 8, order)
    await passes()
    engine.gate.set()
    assert await results([first, *others]) == [None, *range(8)]
    assert engine.batches == [1, 8]
    assert order == list(range(8))


async def test_a_batch_takes_no_more_than_its_limit(
    store: GroupCommit, engine: EngineDouble
) -> None:
    assert await results(sending(store, 20)) == list(range(20))
    assert engine.batches == [8, 8, 4]
    assert engine.most_under_way == 1


async def test_each_step_sees_what_the_ones_before_it_wrote(store: GroupCommit) -> None:
    def prolong(rows: Rows) -> Change[int]:
        before = rows.holds["h"].expires_at if "h" in rows.holds else 0
        return Change(before, holds=(open_hold("h", before + 1),))

    tasks = [asyncio.ensure_future(store.transact(*naming("h", prolong))) for _ in range(20)]
    assert await results(tasks) == list(range(20))


async def test_a_step_that_fails_fails_alone_and_the_batch_is_not_repeated(
    store: GroupCommit, engine: EngineDouble
) -> None:
    def fail(rows: Rows) -> Change[None]:
        raise LookupError("the step's own")

    before = sending(store, 3)
    failing = asyncio.ensure_future(store.transact(*naming("failing", fail)))
    answers = await results([*before, failing])
    assert answers[:3] == [0, 1, 2]
    assert repr(answers[3]) == 'LookupError("the step\'s own")'
    assert engine.batches == [4]


@pytest.mark.parametrize("error", [StopIteration("over"), StopAsyncIteration("over")])
async def test_a_step_may_raise_what_no_future_takes(store: GroupCommit, error: Exception) -> None:
    def fail(rows: Rows) -> Change[None]:
        raise error

    (told,) = await results([asyncio.ensure_future(store.transact(*naming("h", fail)))])
    assert error in (told, told.__cause__)
    assert await results(sending(store, 2)) == [0, 1]


class Interrupt(BaseException):
    """No exception of the ordinary kind, as test frameworks have them."""


@pytest.mark.parametrize("raised", [Interrupt, asyncio.CancelledError])
async def test_a_step_that_raises_no_ordinary_exception_keeps_nobody_waiting(
    store: GroupCommit, raised: type[BaseException]
) -> None:
    def fail(rows: Rows) -> Change[None]:
        raise raised

    failing = asyncio.ensure_future(store.transact(*naming("failing", fail)))
    answers = await results([failing, *sending(store, 3)])
    if raised is Interrupt:
        assert isinstance(answers[0], Interrupt)
        assert answers[1:] == [0, 1, 2]
    else:
        assert {type(answer) for answer in answers} == {StoreUnavailableError}
    assert await results(sending(store, 2)) == [0, 1]


async def test_a_question_that_the_engine_cancels_by_itself_is_without_an_answer(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.error = asyncio.CancelledError()
    tasks = sending(store, 12)
    (told,) = await results([asyncio.ensure_future(store.now())])
    assert isinstance(told, StoreUnavailableError)
    assert {type(answer) for answer in await results(tasks)} == {StoreUnavailableError}
    assert engine.batches == [8, 4]


@pytest.mark.parametrize("place", [0, 3, 7])
async def test_a_step_that_the_engine_cannot_take_fails_alone(
    store: GroupCommit, engine: EngineDouble, place: int
) -> None:
    engine.poison = f"h{place}"
    order: list[int] = []
    answers = await results(sending(store, 8, order))
    assert isinstance(answers.pop(place), OSError)
    assert answers == [index for index in range(8) if index != place]
    assert engine.batches == [8] + [1] * 8
    assert order == [index for index in range(8) if index != place]
    assert await stored(engine) == {f"h{index}" for index in range(8)} - {engine.poison}


async def test_steps_that_come_while_a_batch_is_taken_apart_keep_together(
    store: GroupCommit, engine: EngineDouble
) -> None:
    engine.poison = "h1"
    answers = await results(sending(store, 11))
    assert [type(answer) for answer in answers].count(OSError) == 1
    assert engine.batches == [8] + [1] * 8 + [3]


@pytest.mark.parametrize("kind", [StoreUnavailableError, ConfigurationError])
async def test_everyone_is_told_why_the_engine_did_not_answer(
    store: GroupCommit, engine: EngineDouble, kind: type[Exception]
) -> None:
    engine.error = kind("the server is down")
    answers = await results(sending(store, 4))
    assert {repr(answer) for answer in answers} == {repr(engine.error)}
    assert len({id(answer) for answer in answers}) == 4
    assert engine.batches == [4]
    engine.error = None
    assert await results(sending(store, 2)) == [0, 1]


async def test_an_engine_with_an_error_class_of_its_own_is_unavailable(
    store: GroupCommit, engine: EngineDouble
) -> None:
    class OwnError(StoreUnavailableError):
        def __init__(self, *, host: str) -> None:
            super().__init__(f"{host} is down")

    engine.error = OwnError(host="here")
    answers = await results(sending(store, 2))
    assert {str(answer) for answer in answers} == {"here is down"}
    assert all(isinstance(answer, StoreUnavailableError) for answer in answers)


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
