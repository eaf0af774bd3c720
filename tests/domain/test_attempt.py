"""What is kept of one provider call."""

from typing import Any

import pytest

from chatnest.domain.attempt import Attempt
from chatnest.domain.budget import Hold
from chatnest.domain.errors import IllegalEventError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderBatch,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage

HOLD = Hold(
    *("r.1", "r", "user:alice", "plain", "puppet", "model-1"),
    lines=(),
    output_cap=10,
    created_at=0,
    expires_at=1,
)
REPORT = UsageReported(TokenUsage(1, 2))
END = Finished(FinishReason.STOP)


def seen(*batches: ProviderBatch) -> tuple[Attempt, list[ProviderBatch]]:
    nowhere: Any = None  # to whom it is sent is nothing that an attempt looks at
    attempt = Attempt(nowhere, nowhere, HOLD, 1, started_us=100)
    relayed = [attempt.observe(batch, 110 + index) for index, batch in enumerate(batches)]
    return attempt, relayed


def test_a_new_attempt_was_not_sent_and_has_seen_nothing() -> None:
    attempt, _ = seen()

    assert (attempt.sent, attempt.streamed, attempt.usage, attempt.finish_reason) == (
        False,
        False,
        None,
        None,
    )
    assert attempt.observed_output == ""


def test_everything_that_a_model_writes_is_kept_to_be_counted() -> None:
    tool = ToolCallDelta(0, "call-1", "find", '{"a":')
    attempt, _ = seen((TextDelta("a"), ReasoningDelta("b")), (tool, ToolCallDelta(0, None, None)))

    assert attempt.observed_output == 'abfind{"a":'


def test_deltas_are_relayed_and_the_providers_own_end_is_not() -> None:
    text = TextDelta("a")
    _, relayed = seen((text,), (text, REPORT), (END,))

    assert [list(batch) for batch in relayed] == [[text], [text], []]


def test_the_first_delta_has_its_time() -> None:
    attempt, _ = seen((), (TextDelta("a"),), (TextDelta("b"),))

    assert attempt.streamed
    assert attempt.first_delta_us == 111


def test_a_report_alone_is_no_delta() -> None:
    attempt, _ = seen((REPORT, END))

    assert not attempt.streamed
    assert (attempt.usage, attempt.finish_reason) == (TokenUsage(1, 2), FinishReason.STOP)


@pytest.mark.parametrize(
    ("legal", "illegal"),
    [
        ((), (REPORT, TextDelta("late"))),
        ((REPORT,), (REPORT,)),
        ((TextDelta("a"),), (END, TextDelta("late"))),
        ((REPORT, END), (END,)),
    ],
)
def test_what_breaks_the_order_is_no_end_and_no_report(
    legal: ProviderBatch, illegal: ProviderBatch
) -> None:
    attempt, _ = seen(legal)
    with pytest.raises(IllegalEventError):
        attempt.observe(illegal, 0)

    assert (attempt.usage, attempt.finish_reason) == (None, None)
