"""What OpenAI's streams say of the tokens that were used."""

from typing import Any

import pytest

from chatnest.adapters.providers.openai_stream import AnswerDecoder
from chatnest.domain.events import Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.usage import TokenUsage
from tests.adapters.providers.openai_chunks import DONE, STOP, decode, delta, payload, usage


def test_the_finish_waits_for_the_usage_that_follows_it() -> None:
    decoder = AnswerDecoder()
    assert decoder.decode([delta(content="x"), delta("length")]) == [TextDelta("x")]
    assert decoder.decode([usage(prompt_tokens=3, completion_tokens=1)]) == []
    assert not decoder.ended
    assert decoder.decode([DONE]) == [
        UsageReported(TokenUsage(3, 1)),
        Finished(FinishReason.LENGTH),
    ]
    assert decoder.ended


def test_a_running_usage_is_reported_once_as_it_was_last() -> None:
    running = [
        payload(
            choices=[{"index": 0, "delta": {"content": "x"}}],
            usage={"prompt_tokens": 3, "completion_tokens": count},
        )
        for count in (1, 2)
    ]
    assert decode(*running, delta("stop"), DONE)[2:] == [UsageReported(TokenUsage(3, 2)), STOP]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, TokenUsage(3, 2)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, TokenUsage(0, 0)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "total_tokens": 17,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            TokenUsage(9, 8, 4, 3, 5),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "prompt_tokens_details": None,
                "completion_tokens_details": {"reasoning_tokens": None},
            },
            TokenUsage(9, 8),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 9},
                "completion_tokens_details": {"reasoning_tokens": 9},
            },
            TokenUsage(3, 2, 2, 1, 2),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": -1},
                "completion_tokens_details": {"reasoning_tokens": -1},
            },
            TokenUsage(3, 2),
        ),
        (
            {
                "prompt_tokens": 10_120,
                "completion_tokens": 1_499,
                "total_tokens": 14_428,
                "completion_tokens_details": {"reasoning_tokens": 2_809},
            },
            TokenUsage(10_120, 4_308, reasoning_tokens=2_809),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4},
            TokenUsage(9, 2, 4),
        ),
    ],
    ids=[
        *("plain", "zero", "parts", "no parts", "too large parts", "negative parts", "xAI"),
        "DeepSeek",
    ],
)
def test_usage_is_counted_in_inclusive_buckets(
    reported: dict[str, Any], expected: TokenUsage
) -> None:
    assert decode(delta("stop"), usage(**reported), DONE) == [UsageReported(expected), STOP]


@pytest.mark.parametrize(
    "last",
    [
        payload(
            choices=[], x_groq={"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
        ),
        payload(
            choices=[
                {"finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
            ],
            usage=None,
        ),
    ],
    ids=["Groq", "Moonshot"],
)
def test_usage_is_found_where_the_server_puts_it(last: bytes) -> None:
    assert decode(delta("stop"), last, DONE) == [UsageReported(TokenUsage(3, 2)), STOP]


def test_what_groq_says_beside_an_answer_does_not_touch_it() -> None:
    assert decode(payload(choices=[], x_groq={"id": "r"}), delta("stop"), DONE) == [STOP]


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"total_tokens": 5},
        {"prompt_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": None},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 10**30},
        {"prompt_tokens": "five", "completion_tokens": 5},
    ],
)
def test_figures_without_sense_are_not_reported_and_spoil_nothing(nonsense: dict[str, Any]) -> None:
    assert decode(delta(content="x"), delta("stop"), usage(**nonsense), DONE) == [
        TextDelta("x"),
        STOP,
    ]
