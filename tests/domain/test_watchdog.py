"""Deadlines that move."""

import asyncio

from chatnest.domain.watchdog import Watchdog, wait_within
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
    watchdog.close()
    watchdog.close()
    clock.advance(100)
    assert (clock.pending, late) == (0, [])


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
