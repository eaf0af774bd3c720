"""Which failures are tried again, and what each attempt charges."""

from dataclasses import replace

import pytest

from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import (
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import (
    PATIENT,
    World,
    collect,
    drive,
    leave_after,
    text_of,
)

OVERLOADED = Failure(FailureKind.OVERLOADED, status=503, billable=False)

# "one two three" is three words, with two tokens around each message and three around all.
PROMPT_TOKENS = 3 + 2 + 3


async def test_a_retryable_failure_before_the_first_delta_is_tried_again() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script += [
        OVERLOADED,
        (TextDelta("back"), UsageReported(TokenUsage(5, 1)), Finished(FinishReason.STOP)),
    ]

    events = await drive(world, answer, 2)

    assert text_of(events) == "back"
    assert [type(event) for event in events].count(Started) == 1
    assert len(world.provider.calls) == 2
    assert await world.tokens() == (6, 0)
    assert [report.attempt for report in world.witness.reports] == [1, 2]


async def test_an_attempt_that_may_have_been_billed_is_charged_beside_the_next_one() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script += [
        Failure(FailureKind.CONNECTION, billable=True),
        (TextDelta("back"), UsageReported(TokenUsage(5, 1)), Finished(FinishReason.STOP)),
    ]

    await drive(world, answer, 2)

    assert await world.tokens() == (PROMPT_TOKENS + 6, 0)


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.QUOTA_EXHAUSTED,
        FailureKind.AUTHENTICATION,
        FailureKind.INVALID_REQUEST,
        FailureKind.CONTENT_FILTER,
        FailureKind.CONTEXT_LENGTH,
    ],
)
async def test_what_trying_again_cannot_mend_is_not_tried_again(kind: FailureKind) -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script.append(Failure(kind, status=429, billable=False))

    events = await collect(answer)

    assert isinstance(events[-1], Failed)
    assert len(world.provider.calls) == 1
    assert await world.tokens() == (0, 0)


async def test_attempts_end_at_their_limit() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script += [OVERLOADED] * 5

    events = await drive(world, answer, 30)

    assert isinstance(events[-1], Failed)
    assert len(world.provider.calls) == 3
    assert await world.tokens() == (0, 0)


async def test_a_reader_who_leaves_during_a_back_off_is_not_tried_for_again() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script += [Failure(FailureKind.CONNECTION, billable=True)]

    await leave_after(answer, 0)
    await world.clock.run_for(30 * US_PER_S)

    assert len(world.provider.calls) == 1
    assert await world.tokens() == (PROMPT_TOKENS, 0)


async def test_nothing_is_tried_again_after_the_deadline() -> None:
    # The first token may take ten seconds, and the back-off takes one.
    for deadline_s, calls in ((11, 2), (10, 1)):
        retry = replace(PATIENT.retry, deadline_us=deadline_s * US_PER_S)
        world = World(policy=replace(PATIENT, retry=retry))
        await drive(world, await world.answer(), 60)
        assert len(world.provider.calls) == calls
