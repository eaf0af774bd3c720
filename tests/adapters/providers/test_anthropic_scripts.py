"""The scripts of Anthropic's wire: what they write is what Anthropic would."""

import json

from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from chatnest.adapters.providers.sse import EventDecoder
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.usage import TokenUsage
from chatnest.testing import anthropic_scripts
from chatnest.testing.upstream import Step, Write
from tests.adapters.providers.anthropic_wire import decode, failure_of

STOP = Finished(FinishReason.STOP)
SDK_EVENTS: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def written(steps: tuple[Step, ...]) -> list[bytes]:
    """The payloads that a script writes, each as far as its event's name agrees with it."""
    frames = [step.data for step in steps if isinstance(step, Write)]
    payloads = EventDecoder().feed(b"".join(frames))
    for frame, one in zip(frames, payloads, strict=True):
        assert frame == b"event: %b\ndata: %b\n\n" % (json.loads(one)["type"].encode(), one)
    return payloads


def test_the_scripts_are_answers_to_the_sdk_and_to_us() -> None:
    usage = {**anthropic_scripts.usage_of(3, 4), "cache_read_input_tokens": 2}
    payloads = written(anthropic_scripts.completion(("a", "b"), usage=usage))
    for one in payloads:
        SDK_EVENTS.validate_json(one)
    assert decode(*payloads) == [
        TextDelta("a"),
        TextDelta("b"),
        UsageReported(TokenUsage(5, 4, cached_input_tokens=2)),
        STOP,
    ]


def test_a_script_says_no_more_than_it_is_asked_to() -> None:
    unfinished = written(anthropic_scripts.completion(finish_reason=None, done=False))
    assert failure_of(*unfinished) == Failure(FailureKind.INTERRUPTED)
    unreported = written(anthropic_scripts.completion(("a",), finish_reason="max_tokens"))
    assert decode(*unreported) == [TextDelta("a"), Finished(FinishReason.LENGTH)]


def test_the_errors_of_the_scripts_are_the_wires() -> None:
    error = anthropic_scripts.error_object("enforced_spend_limit_reached", "rate_limit_error")
    (one,) = written((anthropic_scripts.event(error),))
    assert failure_of(one).kind is FailureKind.QUOTA_EXHAUSTED
