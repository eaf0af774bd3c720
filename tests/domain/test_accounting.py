"""What is reported of each attempt, and what its reader is told to be left."""

import asyncio

from chatnest.domain.budget import Unit
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import ChatEvent, Failed, Finished, FinishReason, TextDelta
from chatnest.domain.policy import ChatPolicy
from chatnest.domain.ports import CallReport
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import PATIENT, World, collect, limited, turns, usage_of

# "one two three" is three words, with two tokens around each message and three around all.
PROMPT_TOKENS = 3 + 2 + 3
# By its bytes, which is what is held.
PROMPT_BOUND = len("one two three") + 2 + 3
LOST = Failure(FailureKind.CONNECTION, billable=True)
REFUSED = Failure(FailureKind.OVERLOADED, status=503, billable=False)


async def played(world: World, seconds: int = 10) -> list[ChatEvent]:
    collecting = asyncio.create_task(collect(await world.answer()))
    await world.clock.run_for(seconds * US_PER_S)
    return await collecting


def with_budget(limit: int) -> ChatPolicy:
    return ChatPolicy(
        budgets=limited(limit).budgets, retry=PATIENT.retry, time_limits=PATIENT.time_limits
    )


async def test_each_attempt_is_reported_with_its_own_cost_and_failure() -> None:
    world = World(policy=PATIENT)
    world.provider.script += [LOST, REFUSED, (TextDelta("a "), Finished(FinishReason.LENGTH))]
    await played(world)

    assert [
        (r.attempt, r.finish_reason, r.failure, r.usage, r.cost_nano_usd, r.estimated, r.overrun)
        for r in world.witness.reports
    ] == [
        (1, "error", LOST, TokenUsage(PROMPT_TOKENS, 0), PROMPT_TOKENS * 1_000, True, False),
        (2, "error", REFUSED, None, 0, False, False),
        (
            *(3, "length", None, TokenUsage(PROMPT_TOKENS, 1)),
            *(PROMPT_TOKENS * 1_000 + 4_000, True, False),
        ),
    ]


async def test_an_overrun_is_charged_in_full_and_reported() -> None:
    world = World()
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    await turns()
    world.provider.calls[0].finish(TokenUsage(5_000, 100))
    await collecting

    assert world.witness.reports[0].overrun
    assert await world.tokens() == (5_100, 0)


async def test_times_are_measured_from_the_start_of_each_attempt() -> None:
    world = World(policy=PATIENT)
    world.provider.script.append(LOST)
    collecting = asyncio.create_task(collect(await world.answer()))
    await world.clock.run_for(3 * US_PER_S)
    world.provider.calls[1].say("a ")
    await world.clock.run_for(2 * US_PER_S)
    world.provider.calls[1].finish()
    await collecting

    def times(report: CallReport) -> tuple[int, int | None]:
        return report.duration_us, report.time_to_first_token_us

    first, second = map(times, world.witness.reports)
    # The back-off of a second is the first attempt's.
    assert first == (US_PER_S, None)
    assert second == (4 * US_PER_S, 2 * US_PER_S)


async def test_where_there_is_no_room_for_another_attempt_the_failure_is_the_answer() -> None:
    world = World(policy=with_budget(PROMPT_BOUND + 10 + 5))
    world.provider.script.append(LOST)
    events = await played(world)

    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_connection"
    assert usage_of(events).usage == TokenUsage(PROMPT_TOKENS, 0)
    assert [report.finish_reason for report in world.witness.reports] == ["error"]
    assert await world.tokens() == (PROMPT_TOKENS, 0)


async def test_an_answer_that_failed_says_so_in_its_report_and_to_its_reader() -> None:
    world = World()
    world.provider.script.append(Failure(FailureKind.CONTENT_FILTER, billable=False))
    events = await played(world)

    assert [report.finish_reason for report in world.witness.reports] == ["error"]
    assert usage_of(events).finish_reason is FinishReason.ERROR


async def test_the_next_attempt_is_capped_by_what_the_failed_one_left() -> None:
    world = World(policy=with_budget(PROMPT_BOUND + 100))
    world.provider.script += [LOST, (Finished(FinishReason.STOP),)]
    await played(world)

    caps = [puppet.call.max_output_tokens for puppet in world.provider.calls]
    assert caps == [100, 100 - PROMPT_TOKENS]


async def test_what_is_left_is_said_for_the_day_that_was_charged() -> None:
    world = World()
    answer = await world.answer()
    world.clock.set_wall(world.clock.now() + 24 * 3_600 * US_PER_S)
    world.provider.script.append((TextDelta("a "), Finished(FinishReason.STOP)))
    report = usage_of(await collect(answer))

    tokens = next(b for b in report.balances if b.rule.unit is Unit.TOKENS)
    assert (tokens.settled, tokens.held) == (PROMPT_TOKENS + 1, 0)


async def test_an_attempt_after_midnight_is_charged_to_its_own_day() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script += [LOST, (TextDelta("a "), Finished(FinishReason.STOP))]
    world.clock.set_wall(world.clock.now() + 24 * 3_600 * US_PER_S)
    collecting = asyncio.create_task(collect(answer))
    await world.clock.run_for(5 * US_PER_S)
    report = usage_of(await collecting)

    tokens = next(b for b in report.balances if b.rule.unit is Unit.TOKENS)
    assert (tokens.settled, tokens.held) == (PROMPT_TOKENS + 1, 0)
    assert await world.tokens() == (PROMPT_TOKENS + 1, 0)
