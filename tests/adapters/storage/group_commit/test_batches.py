"""Steps that wait together are one transaction, and each has its own result."""

import asyncio

import pytest

from chatnest.adapters.storage.group_commit import GroupCommit
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError
from chatnest.domain.ledger import Change, Rows
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import NOON, open_hold, writing
from tests.adapters.storage.group_commit.driving import (
    LIMITS,
    naming,
    passes,
    results,
    sending,
    stored,
)
from tests.adapters.storage.group_commit.engine_double import EngineDouble, FutureEngine


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


async def test_an_engine_that_answers_with_a_future_is_spared_a_task(
    clock: ManualClock, quiet_loop: None
) -> None:
    engine = FutureEngine(clock)
    store = GroupCommit(engine, clock, LIMITS)
    tasks = sending(store, 12)
    before = asyncio.all_tasks()
    for size in (8, 4):
        await passes()
        assert asyncio.all_tasks() <= before
        assert engine.batches[-1] == size
        engine.answer()
    assert await results(tasks) == list(range(12))
    await store.aclose()


async def test_a_future_that_is_given_up_is_cancelled_and_the_next_batch_asked_for(
    clock: ManualClock, quiet_loop: None
) -> None:
    engine = FutureEngine(clock)
    store = GroupCommit(engine, clock, LIMITS)
    tasks = sending(store, 8)
    await clock.run_for(LIMITS.answer_us)
    assert {type(task.exception()) for task in tasks} == {StoreUnavailableError}
    assert engine.asked[0].cancelled()
    further = sending(store, 2)
    await passes()
    engine.answer()
    assert await results(further) == [0, 1]
    await store.aclose()


@pytest.mark.parametrize("error", [StoreUnavailableError("closed"), OSError("no thread")])
async def test_an_engine_may_fail_before_it_gives_a_future(
    clock: ManualClock, quiet_loop: None, error: Exception
) -> None:
    engine = FutureEngine(clock)
    store = GroupCommit(engine, clock, LIMITS)
    engine.error = error
    assert {repr(answer) for answer in await results(sending(store, 3))} == {repr(error)}
    engine.error = None
    tasks = sending(store, 3)
    await passes()
    engine.answer()
    assert await results(tasks) == [0, 1, 2]
    await store.aclose()
