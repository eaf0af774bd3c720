"""Deadlines that move, and waits that somebody else may end."""

import asyncio
from collections.abc import Generator

import pytest

from chatnest.domain.watchdog import Watchdog, noticing, until_done, wait_within
from chatnest.testing.clock import ManualClock


def watched() -> tuple[ManualClock, Watchdog, list[int]]:
    clock, late = ManualClock(), list[int]()
    return clock, Watchdog(clock, lambda: late.append(clock.monotonic_us())), late


def test_what_does_not_happen_in_time_is_late_at_its_deadline() -> None:
    clock, watchdog, late = watched()
    watchdog.expect_within(10)
    clock.advance(9)
    assert late == []
    clock.advance(1)
    assert late == [10]


def test_each_new_expectation_moves_the_deadline() -> None:
    clock, watchdog, late = watched()
    for _ in range(5):
        watchdog.expect_within(10)
        clock.advance(9)
    assert late == []
    clock.advance(1)
    assert late == [46]


def test_an_earlier_deadline_comes_first() -> None:
    clock, watchdog, late = watched()
    watchdog.expect_within(100)
    watchdog.expect_within(10)
    clock.advance(10)
    assert late == [10]


def test_it_is_late_once() -> None:
    clock, watchdog, late = watched()
    watchdog.expect_within(10)
    clock.advance(100)
    assert late == [10]


def test_nothing_is_late_while_nothing_is_expected() -> None:
    clock, watchdog, late = watched()
    watchdog.expect_within(10)
    watchdog.relax()
    clock.advance(100)
    assert late == []
    watchdog.expect_within(10)
    clock.advance(10)
    assert late == [110]


def test_moving_a_deadline_sets_no_timer() -> None:
    clock, watchdog, _ = watched()
    for _ in range(100):
        watchdog.expect_within(10)
    assert clock.pending == 1


def test_closing_leaves_no_timer() -> None:
    clock, watchdog, late = watched()
    watchdog.expect_within(10)
    watchdog.limit(50)
    watchdog.close()
    watchdog.close()
    watchdog.relax()
    assert clock.pending == 0
    clock.advance(100)
    assert late == []


def test_a_limit_comes_whatever_is_expected() -> None:
    clock, watchdog, late = watched()
    watchdog.limit(100)
    watchdog.expect_within(10)
    clock.advance(10)
    watchdog.relax()
    clock.advance(80)
    watchdog.expect_within(1_000)
    clock.advance(9)
    assert late == [10]
    clock.advance(1)
    assert late == [10, 100]


def test_a_limit_without_anything_expected_is_late_too() -> None:
    clock, watchdog, late = watched()
    watchdog.limit(100)
    clock.advance(99)
    assert late == []
    clock.advance(1)
    assert late == [100]


async def test_waiting_ends_with_the_task() -> None:
    clock = ManualClock()
    task = asyncio.create_task(asyncio.sleep(0))
    assert await wait_within(clock, task, 10)
    assert clock.pending == 0


async def test_waiting_ends_at_its_limit_and_leaves_the_task_alone() -> None:
    clock, never = ManualClock(), asyncio.Event()
    task = asyncio.create_task(never.wait())
    waiting = asyncio.create_task(wait_within(clock, task, 10))
    await clock.run_for(9)
    assert not waiting.done()
    await clock.run_for(1)
    assert await waiting is False
    assert not task.done()
    task.cancel()


async def test_waiting_for_a_task_neither_cancels_nor_reads_it() -> None:
    failing = asyncio.create_task(raises(LookupError("unread")))

    await until_done(failing)
    await until_done(failing)

    assert isinstance(failing.exception(), LookupError)


async def test_whoever_waits_for_a_task_may_go() -> None:
    for_ever = asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(until_done(for_ever))
    await asyncio.sleep(0)

    waiting.cancel()
    await until_done(waiting)

    assert waiting.cancelled()
    assert not for_ever.done()
    for_ever.cancel()


async def raises(error: Exception, after: asyncio.Future[None] | None = None) -> str:
    if after is not None:
        await after
    raise error


async def insists(waits: list[asyncio.Future[str]]) -> str:
    """Waits for each in turn, whoever cancels that."""
    said: list[str] = []
    for each in waits:
        try:
            said.append(await each)
        except asyncio.CancelledError:
            said.append("cancelled")
    return ", ".join(said)


async def test_what_gives_at_once_is_not_noticed() -> None:
    told: list[str] = []

    assert await noticing(insists([]), lambda: told.append("waits")) == ""
    with pytest.raises(LookupError):
        await noticing(raises(LookupError()), lambda: told.append("waits"))
    assert told == []


async def test_what_waits_is_noticed_once_and_gives_what_it_would() -> None:
    told: list[str] = []
    first, second, third = waits = [asyncio.get_running_loop().create_future() for _ in range(3)]

    async def watch() -> str:
        return await noticing(insists(waits), lambda: told.append("waits"))

    watched = asyncio.create_task(watch())
    await asyncio.sleep(0)
    assert told == ["waits"]

    first.set_result("one")
    await asyncio.sleep(0)
    watched.cancel()
    await asyncio.sleep(0)
    third.set_result("three")

    assert await watched == "one, cancelled, three"
    assert second.cancelled()
    assert told == ["waits"]


async def test_an_error_after_a_wait_is_raised() -> None:
    after = asyncio.get_running_loop().create_future()

    async def watch() -> str:
        return await noticing(raises(LookupError(), after), lambda: None)

    watched = asyncio.create_task(watch())
    await asyncio.sleep(0)

    after.set_result(None)

    with pytest.raises(LookupError):
        await watched


def test_what_is_never_finished_is_closed() -> None:
    left: list[str] = []

    async def leaves() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            left.append("closed")

    watched = noticing(leaves(), lambda: None)
    assert isinstance(watched, Generator)
    next(watched)
    watched.close()

    assert left == ["closed"]
