"""What happens when a target fails, and what every attempt leaves in the ledger."""

import asyncio
from dataclasses import replace

from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.budget import HoldState
from chatnest.domain.circuit import CircuitPolicy
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import Failed, Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.routes import Route, Target
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import (
    ALICE,
    PATIENT,
    PuppetProvider,
    World,
    drive,
    leave_after,
    request,
    text_of,
    turns,
)
from tests.domain.two_worlds import ANSWERED, BUSY, TwoWorlds

LOST = Failure(FailureKind.CONNECTION, billable=True)
WRONG = Failure(FailureKind.INVALID_REQUEST, status=400, billable=False)
NO_KEY = Failure(FailureKind.AUTHENTICATION, status=401, billable=False)
PROMPT_TOKENS = 3 + 2 + 3


async def test_the_preferred_target_answers() -> None:
    world = TwoWorlds()
    world.first.script.append(ANSWERED)
    events = await drive(world, await world.answer())
    assert text_of(events) == "yes"
    assert world.second.calls == []


async def test_a_failure_that_passes_calls_the_next_target_at_once() -> None:
    world = TwoWorlds()
    world.first.script.append(BUSY)
    world.second.script.append(ANSWERED)
    events = await drive(world, await world.answer())
    assert text_of(events) == "yes"
    assert await world.journal() == [
        ("first", "overloaded", HoldState.RELEASED),
        ("second", "stop", HoldState.SETTLED),
    ]
    assert await world.tokens() == (6, 0)


async def test_an_attempt_that_may_be_billed_is_charged_where_it_was_made() -> None:
    world = TwoWorlds()
    world.first.script.append(LOST)
    world.second.script.append(ANSWERED)
    await drive(world, await world.answer())
    assert await world.journal() == [
        ("first", "connection", HoldState.SETTLED),
        ("second", "stop", HoldState.SETTLED),
    ]
    assert await world.tokens() == (PROMPT_TOKENS + 6, 0)


async def test_what_is_wrong_with_one_account_is_not_wrong_with_another() -> None:
    world = TwoWorlds()
    world.first.script.append(NO_KEY)
    world.second.script.append(ANSWERED)
    assert text_of(await drive(world, await world.answer())) == "yes"


async def test_a_wrong_request_is_not_offered_around() -> None:
    world = TwoWorlds()
    world.first.script.append(WRONG)
    events = await drive(world, await world.answer())
    assert isinstance(events[-1], Failed)
    assert world.second.calls == []


async def test_after_every_target_the_first_is_called_again_after_a_back_off() -> None:
    world = TwoWorlds()
    world.first.script += [BUSY, ANSWERED]
    world.second.script.append(BUSY)
    answer = await world.answer()
    assert text_of(await drive(world, answer, 5)) == "yes"
    assert [len(world.first.calls), len(world.second.calls)] == [2, 1]
    assert world.clock.monotonic_us() >= US_PER_S


async def test_attempts_at_all_targets_together_are_limited() -> None:
    world = TwoWorlds()
    world.first.script += [BUSY] * 5
    world.second.script += [BUSY] * 5
    events = await drive(world, await world.answer(), 60)
    assert isinstance(events[-1], Failed)
    assert len(world.first.calls) + len(world.second.calls) == PATIENT.retry.max_attempts


async def test_nothing_fails_over_once_a_delta_has_come() -> None:
    world = TwoWorlds()
    answer = await world.answer()
    driving = asyncio.create_task(drive(world, answer))
    await turns()
    world.first.calls[0].say("half")
    await turns()
    world.first.calls[0].fail(BUSY)
    events = await driving
    assert text_of(events) == "half"
    assert isinstance(events[-1], Failed)
    assert world.second.calls == []


async def test_a_target_that_asks_to_be_left_alone_is_left_alone_by_everybody() -> None:
    world = TwoWorlds()
    asks = Failure(FailureKind.RATE_LIMITED, 429, None, 30.0, billable=False)
    world.first.script.append(asks)
    world.second.script += [ANSWERED, ANSWERED]
    await drive(world, await world.answer())
    await drive(world, await world.answer())
    assert [len(world.first.calls), len(world.second.calls)] == [1, 2]

    await world.clock.run_for(30 * US_PER_S)
    world.first.script.append(ANSWERED)
    await drive(world, await world.answer())
    assert len(world.first.calls) == 2


async def test_a_target_that_keeps_failing_is_passed_over() -> None:
    circuit = CircuitPolicy(failures=2, open_us=20 * US_PER_S)
    world = TwoWorlds(replace(PATIENT, circuit=circuit))
    world.first.script += [BUSY, BUSY]
    world.second.script += [ANSWERED] * 4
    for _ in range(4):
        await drive(world, await world.answer())
    assert len(world.first.calls) == 2


async def test_one_probe_finds_out_whether_a_target_is_back() -> None:
    circuit = CircuitPolicy(failures=1, open_us=20 * US_PER_S)
    world = TwoWorlds(replace(PATIENT, circuit=circuit))
    world.first.script.append(BUSY)
    world.second.script.append(ANSWERED)
    await drive(world, await world.answer())
    await world.clock.run_for(20 * US_PER_S)

    answers = [await world.answer() for _ in range(3)]
    for answer in answers:
        await answer.aclose()
    assert [answer.admitted.hold.provider for answer in answers] == ["first", "second", "second"]


async def test_readers_who_leave_say_nothing_about_a_target() -> None:
    circuit = CircuitPolicy(failures=1, open_us=20 * US_PER_S)
    world = TwoWorlds(replace(PATIENT, circuit=circuit))
    for _ in range(3):
        await leave_after(await world.answer(), 0)
    assert len(world.first.calls) == 3
    assert world.second.calls == []


async def test_when_no_target_is_ready_a_chat_is_refused_before_the_ledger_is_asked() -> None:
    circuit = CircuitPolicy(failures=1, open_us=20 * US_PER_S)
    twice = replace(PATIENT.retry, max_attempts=2)
    world = TwoWorlds(replace(PATIENT, circuit=circuit, retry=twice))
    world.first.script.append(BUSY)
    world.second.script.append(BUSY)
    await drive(world, await world.answer(), 5)
    before = await world.journal()
    outcome = await world.open("one two three")
    assert isinstance(outcome, Refusal)
    assert outcome.code is RefusalCode.PROVIDER_DOWN
    assert outcome.retry_after_us is not None
    assert 0 < outcome.retry_after_us <= 20 * US_PER_S
    assert await world.journal() == before


async def test_routes_that_share_a_target_share_what_is_known_of_it() -> None:
    first, second = PuppetProvider("first"), PuppetProvider("second")
    shared, other = Target(first, "m"), Target(second, "m")
    circuit = CircuitPolicy(failures=1, open_us=20 * US_PER_S)
    routes = [Route("a", (shared, other)), Route("b", (shared, other))]
    world = World(policy=replace(PATIENT, circuit=circuit), routes=routes)
    first.script.append(BUSY)
    second.script += [ANSWERED, ANSWERED]
    await drive(world, await world.answer())
    answer = await world.service.open(ALICE, replace(request("hi"), model="b"))
    assert isinstance(answer, Answer)
    await drive(world, answer)
    assert len(first.calls) == 1


async def test_an_answer_past_its_cap_is_ended_as_long_enough() -> None:
    world = World()
    answer = await world.answer()
    driving = asyncio.create_task(drive(world, answer))
    await turns()
    call = world.provider.calls[0]
    for number in range(200):
        call.say(f"word{number} ")
        await turns(3)
    events = await driving
    assert call.closed
    said = text_of(events).split()
    cap = call.call.max_output_tokens
    assert cap < len(said) <= cap + 1
    assert events[-1] == Finished(FinishReason.LENGTH)
    assert await world.tokens() == (PROMPT_TOKENS + len(said), 0)


async def test_an_estimate_learns_from_what_is_reported() -> None:
    world = World()
    for _ in range(3):
        world.provider.script.append(
            (
                TextDelta("w " * 40),
                UsageReported(TokenUsage(2 * 45, 40)),
                Finished(FinishReason.STOP),
            )
        )
        await drive(world, await world.answer("w " * 40))
    settled, _ = await world.tokens()
    assert settled == 3 * (90 + 40)

    await leave_after(await world.answer("w " * 40), 0)
    assert (await world.tokens())[0] == settled + 90
