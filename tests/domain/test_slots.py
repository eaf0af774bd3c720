"""Places for calls under way: never more than there are, in order of arrival, none lost."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain import slots as slots_module
from chatnest.domain.slots import Slots
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import turns


def test_there_are_as_many_places_as_there_are() -> None:
    slots = Slots(ManualClock(), 2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert slots.take()


def test_without_a_bound_there_is_always_one() -> None:
    slots = Slots(ManualClock(), None)
    assert all(slots.take() for _ in range(1_000))
    assert slots.taken == 1_000


async def test_a_place_goes_to_whoever_has_waited_longest() -> None:
    slots = Slots(ManualClock(), 1)
    slots.take()
    came: list[int] = []

    async def wait(number: int) -> None:
        assert await slots.wait(100)
        came.append(number)

    waiting = [asyncio.create_task(wait(number)) for number in range(3)]
    for number in range(3):
        await turns()
        slots.give_back()
        await turns()
        assert came == list(range(number + 1))
    await asyncio.gather(*waiting)
    assert slots.taken == 1


async def test_a_wait_has_an_end() -> None:
    clock = ManualClock()
    slots = Slots(clock, 1)
    slots.take()
    waiting = asyncio.create_task(slots.wait(100))
    await clock.run_for(99)
    assert not waiting.done()
    await clock.run_for(1)
    assert await waiting is False
    slots.give_back()
    assert slots.taken == 0


async def test_no_time_to_wait_is_no_wait() -> None:
    slots = Slots(ManualClock(), 1)
    slots.take()
    assert await slots.wait(0) is False


async def test_nobody_new_overtakes_those_who_wait() -> None:
    slots = Slots(ManualClock(), 1)
    slots.take()
    waiting = asyncio.create_task(slots.wait(100))
    await turns()
    slots.give_back()
    assert not slots.take()
    assert await waiting


async def test_who_is_cancelled_leaves_the_queue() -> None:
    slots = Slots(ManualClock(), 1)
    slots.take()
    first, second = (asyncio.create_task(slots.wait(100)) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    slots.give_back()
    assert await second
    assert first.cancelled()


async def test_a_place_that_comes_with_a_cancel_is_not_lost() -> None:
    slots = Slots(ManualClock(), 1)
    slots.take()
    waiting = asyncio.create_task(slots.wait(100))
    await turns()
    slots.give_back()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert slots.taken == 0
    assert slots.take()


async def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "MOST_WAITING", 1)
    slots = Slots(ManualClock(), 1)
    slots.take()
    waiting = asyncio.create_task(slots.wait(100))
    await turns()
    assert await slots.wait(100) is False
    slots.give_back()
    assert await waiting


@given(
    st.lists(st.sampled_from(["take", "wait", "give", "cancel", "pass"]), max_size=30),
    st.integers(1, 3),
)
async def test_places_are_neither_lost_nor_doubled(script: list[str], most: int) -> None:
    clock = ManualClock()
    slots = Slots(clock, most)
    held = 0
    waiting: list[asyncio.Task[bool]] = []
    for step in script:
        match step:
            case "take":
                held += slots.take()
            case "wait":
                waiting.append(asyncio.create_task(slots.wait(5)))
            case "give" if held:
                slots.give_back()
                held -= 1
            case "cancel" if waiting:
                waiting[-1].cancel()
            case _:
                await clock.run_for(2)
        await turns()
        for task in [task for task in waiting if task.done()]:
            waiting.remove(task)
            held += not task.cancelled() and task.result()
        assert slots.taken == held <= most
        assert not waiting or held == most
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
