"""Waiting for a place at another target is a part of a request's time, as every other wait is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

from chatnest.domain.answer import Answer
from chatnest.domain.errors import FailureKind, PublicError
from chatnest.domain.events import ChatEvent, Failed, Finished
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import PATIENT, PROFILE, collect, limited, turns
from tests.domain.failover_plays import PROMPT, Answers, Fails
from tests.domain.failover_theatre import Theatre

GOODBYE = PublicError("server_shutting_down", "Goodbye.", retryable=True)
DEADLINE_S = 3
POLICY = replace(PATIENT, retry=replace(PATIENT.retry, deadline_us=DEADLINE_S * US_PER_S))


@asynccontextmanager
async def waiting(
    theatre: Theatre,
) -> AsyncGenerator[tuple[Answer, asyncio.Task[list[ChatEvent]]], None]:
    """An answer that waits for the one place at its second target, its first one having failed."""
    somebody = asyncio.create_task(collect(await theatre.answer(PROMPT)))
    await turns(50)
    answer = await theatre.answer(PROMPT)
    reading = asyncio.create_task(collect(answer))
    await turns(50)
    assert [call.target for call in theatre.calls] == ["first", "second", "first"]
    yield answer, reading
    somebody.cancel()
    await asyncio.gather(somebody, return_exceptions=True)


def two_targets(*, taken_for_s: int = 60) -> Theatre:
    """The first always fails; whoever is at the second first stays there for so long."""
    acts = [Fails(FailureKind.OVERLOADED)], [Answers(1, taken_for_s), Answers(1)]
    return Theatre(POLICY, acts, places=1, wait_us=60 * US_PER_S)


async def test_nobody_waits_for_a_place_beyond_the_deadline() -> None:
    theatre = two_targets()
    async with waiting(theatre) as (_, reading):
        await theatre.clock.run_for(DEADLINE_S * US_PER_S - 1)
        assert not reading.done()
        await theatre.clock.run_for(1)
        assert reading.done()
    events = await reading
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_overloaded"
    assert len(theatre.calls) == 3


async def test_a_place_that_comes_free_before_the_deadline_is_taken() -> None:
    theatre = two_targets(taken_for_s=1)
    async with waiting(theatre) as (_, reading):
        await theatre.clock.run_for(US_PER_S)
        assert reading.done()
    assert [call.target for call in theatre.calls][3:] == ["second"]
    assert isinstance((await reading)[-1], Finished)


async def test_a_shutdown_ends_the_wait_for_a_place_with_its_farewell() -> None:
    theatre = two_targets()
    async with waiting(theatre) as (answer, reading):
        answer.stop(GOODBYE)
        await turns(50)
        assert reading.done()
    events = await reading
    assert events[-1] == Failed(GOODBYE)


async def test_an_attempt_that_the_budget_has_no_room_for_leaves_its_place() -> None:
    acts = [Fails(FailureKind.OVERLOADED, billable=True)], [Answers(1)]
    one_hold = len(PROMPT) + 2 + 3 + PROFILE.min_output_tokens
    theatre = Theatre(limited(one_hold), acts, places=1)
    others = asyncio.all_tasks()
    events = await collect(await theatre.answer(PROMPT))
    assert isinstance(events[-1], Failed)
    assert [call.target for call in theatre.calls] == ["first"]
    await theatre.assert_nothing_left(others)


async def test_whenever_a_reader_leaves_it_leaves_every_place() -> None:
    """At each single step of a failover: while it fails, holds the next attempt, and calls."""
    others = asyncio.all_tasks()
    # A reader who is cancelled before its first step never enters the answer.
    for passes in count(1):
        theatre = Theatre(POLICY, [[Fails(FailureKind.OVERLOADED)], [Answers(1)]], places=1)
        reading = asyncio.create_task(collect(await theatre.answer(PROMPT)))
        await turns(passes)
        is_late = reading.done()
        reading.cancel()
        await theatre.clock.run_for(0)
        await theatre.assert_nothing_left(others)
        if is_late:
            break
    assert passes > len(theatre.calls) == 2
