"""The system's clock tells the time of this machine; the manual one stands still until moved."""

import asyncio
import time
from collections.abc import Callable

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.domain.ports import Clock
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import DEFAULT_START, ManualClock

WAIT_S = 10
A_MOMENT_US = 1_000


def test_both_are_clocks() -> None:
    clocks: list[Clock] = [SystemClock(), ManualClock()]
    assert len(clocks) == 2


def test_the_wall_clock_is_in_microseconds_since_the_epoch() -> None:
    before = time.time_ns() // 1_000
    assert before <= SystemClock().now() <= time.time_ns() // 1_000


def test_the_monotonic_clock_is_in_microseconds() -> None:
    before = time.monotonic_ns() // 1_000
    assert before <= SystemClock().monotonic_us() <= time.monotonic_ns() // 1_000


async def test_a_sleep_lasts_as_long_as_it_says() -> None:
    clock = SystemClock()
    began = clock.monotonic_us()
    await asyncio.wait_for(clock.sleep(20 * A_MOMENT_US), WAIT_S)
    assert clock.monotonic_us() - began >= 19 * A_MOMENT_US


async def test_cancelling_a_sleep_ends_it_at_once() -> None:
    sleeper = asyncio.create_task(SystemClock().sleep(3_600 * US_PER_S))
    await asyncio.sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sleeper, WAIT_S)


@pytest.mark.parametrize("delay_us", [-1, 0, A_MOMENT_US])
async def test_a_callback_runs_once_and_never_inside_the_call(delay_us: int) -> None:
    ran = asyncio.Event()
    timer = SystemClock().call_later(delay_us, ran.set)
    assert not ran.is_set()
    await asyncio.wait_for(ran.wait(), WAIT_S)
    timer.cancel()


async def test_callbacks_run_in_order_of_time() -> None:
    clock, order, last = SystemClock(), list[str](), asyncio.Event()
    clock.call_later(20 * A_MOMENT_US, lambda: order.append("late"))
    clock.call_later(A_MOMENT_US, lambda: order.append("early"))
    clock.call_later(40 * A_MOMENT_US, last.set)
    await asyncio.wait_for(last.wait(), WAIT_S)
    assert order == ["early", "late"]


async def test_a_cancelled_callback_never_runs() -> None:
    clock, ran = SystemClock(), list[int]()
    timer = clock.call_later(A_MOMENT_US, lambda: ran.append(1))
    timer.cancel()
    timer.cancel()
    await clock.sleep(10 * A_MOMENT_US)
    assert ran == []


def test_a_timer_needs_an_event_loop() -> None:
    with pytest.raises(RuntimeError):
        SystemClock().call_later(0, lambda: None)


def test_the_manual_clock_stands_still() -> None:
    clock = ManualClock(5_000)
    assert (clock.now(), clock.now(), clock.monotonic_us()) == (5_000, 5_000, 0)
    assert ManualClock().now() == DEFAULT_START


def test_advancing_moves_both_clocks_and_runs_what_is_due_at_its_own_instant() -> None:
    clock, seen = ManualClock(1_000, monotonic_us=7), list[tuple[str, int, int]]()

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, clock.now(), clock.monotonic_us()))

    clock.call_later(20, note("later"))
    clock.call_later(10, note("first"))
    clock.call_later(10, note("second"))
    clock.call_later(21, note("too late"))
    clock.advance(20)
    assert seen == [("first", 1_010, 17), ("second", 1_010, 17), ("later", 1_020, 27)]
    assert (clock.now(), clock.monotonic_us(), clock.pending) == (1_020, 27, 1)


@pytest.mark.parametrize("delay_us", [-5, 0])
def test_a_callback_without_delay_waits_for_the_clock_to_be_moved(delay_us: int) -> None:
    clock, ran = ManualClock(), list[int]()
    clock.call_later(delay_us, lambda: ran.append(clock.monotonic_us()))
    assert ran == []
    clock.advance(0)
    clock.advance(1)
    assert ran == [0]


def test_a_callback_may_set_the_next_one_within_the_span() -> None:
    clock, ticks = ManualClock(), list[int]()

    def tick() -> None:
        ticks.append(clock.monotonic_us())
        clock.call_later(10, tick)

    clock.call_later(10, tick)
    clock.advance(35)
    assert ticks == [10, 20, 30]
    assert (clock.monotonic_us(), clock.pending) == (35, 1)


def test_a_cancelled_timer_is_not_pending_and_does_not_run() -> None:
    clock, ran = ManualClock(), list[int]()
    kept, dropped = (clock.call_later(5, lambda: ran.append(1)) for _ in range(2))
    dropped.cancel()
    dropped.cancel()
    assert clock.pending == 1
    clock.advance(5)
    assert (ran, clock.pending, kept.waits) == ([1], 0, False)


def test_setting_the_wall_leaves_the_timers_and_the_monotonic_clock() -> None:
    clock, ran = ManualClock(1_000, monotonic_us=7), list[int]()
    clock.call_later(10, lambda: ran.append(clock.now()))
    clock.set_wall(999_999)
    assert (clock.now(), clock.monotonic_us(), ran) == (999_999, 7, [])
    clock.set_wall(0)
    clock.advance(10)
    assert (clock.now(), ran) == (10, [10])


async def test_a_clock_is_never_advanced_backwards() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="negative"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="negative"):
        await clock.run_for(-1)


async def test_woken_tasks_run_and_sleep_again_within_the_span() -> None:
    clock, woken = ManualClock(), list[int]()

    async def sleep_thrice() -> None:
        for _ in range(3):
            await clock.sleep(10)
            woken.append(clock.monotonic_us())

    sleeper = asyncio.create_task(sleep_thrice())
    await clock.run_for(25)
    assert (woken, clock.pending, clock.monotonic_us()) == ([10, 20], 1, 25)
    await clock.run_for(5)
    assert (woken, clock.pending) == ([10, 20, 30], 0)
    await sleeper


async def test_a_cancelled_sleep_leaves_no_timer() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(10))
    await clock.run_for(0)
    assert clock.pending == 1
    sleeper.cancel()
    await clock.run_for(0)
    assert (sleeper.cancelled(), clock.pending) == (True, 0)


async def test_a_sleep_of_no_time_only_yields() -> None:
    clock, others = ManualClock(), list[int]()
    other = asyncio.create_task(_append(others))
    await clock.sleep(0)
    assert (others, clock.pending) == ([1], 0)
    await other


async def _append(to: list[int]) -> None:
    to.append(1)
