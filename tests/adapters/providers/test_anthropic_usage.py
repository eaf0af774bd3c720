"""What Anthropic's usage figures mean, and what they cost."""

from typing import Any

import pytest

from chatnest.domain.events import Finished, FinishReason, ProviderEvent, UsageReported
from chatnest.domain.usage import Price, TokenUsage, cost_nano_usd
from tests.adapters.providers.anthropic_wire import DONE, decode, end, start, text

STOP = Finished(FinishReason.STOP)
# Claude Sonnet 4.5, by Anthropic's list: a million tokens for $3 in and $15 out, $0.30 out of the
# cache and $3.75 into it.
SONNET = Price(3_000_000_000, 15_000_000_000, 300_000_000, 3_750_000_000)

PLAIN = {"input_tokens": 2_095, "output_tokens": 1}
FIRST_TURN = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 188_086,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 188_086, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 3,
    "service_tier": "standard",
}
SECOND_TURN = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 188_086,
    "output_tokens": 3,
}
GROWING = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 1_000,
    "cache_read_input_tokens": 20_000,
    "output_tokens": 8,
    "output_tokens_details": {"thinking_tokens": 7},
    "server_tool_use": None,
}


def reported(*events: ProviderEvent) -> TokenUsage:
    """The usage among *events*, which comes once and right before the finish."""
    *deltas, usage, finished = events
    assert isinstance(usage, UsageReported)
    assert isinstance(finished, Finished)
    assert not any(isinstance(event, UsageReported) for event in deltas)
    return usage.usage


@pytest.mark.parametrize(
    ("first", "last", "usage", "nano_usd"),
    [
        (PLAIN, {"output_tokens": 503}, TokenUsage(2_095, 503), 13_830_000),
        (
            FIRST_TURN,
            {"output_tokens": 393},
            TokenUsage(188_107, 393, cache_write_tokens=188_086),
            711_280_500,
        ),
        (
            SECOND_TURN,
            {**SECOND_TURN, "output_tokens": 393},
            TokenUsage(188_107, 393, cached_input_tokens=188_086),
            62_383_800,
        ),
        (
            GROWING,
            {"output_tokens": 250, "output_tokens_details": {"thinking_tokens": 180}},
            TokenUsage(21_004, 250, 20_000, 1_000, 180),
            13_512_000,
        ),
        ({"input_tokens": 0}, {"output_tokens": 0}, TokenUsage(0, 0), 0),
    ],
    ids=["plain", "cache write", "cache hit", "both, with thinking", "zero"],
)
def test_usage_is_counted_in_inclusive_buckets_and_costs_what_anthropic_asks(
    first: dict[str, Any], last: dict[str, Any], usage: TokenUsage, nano_usd: int
) -> None:
    assert reported(*decode(start(**first), text("x"), end(**last), DONE)) == usage
    assert cost_nano_usd(SONNET, usage) == nano_usd


@pytest.mark.parametrize(
    ("first", "last", "usage"),
    [
        ({"input_tokens": 3}, {"input_tokens": 5, "output_tokens": 1}, TokenUsage(5, 1)),
        ({"input_tokens": 3}, {"input_tokens": None, "output_tokens": 1}, TokenUsage(3, 1)),
        ({"input_tokens": 3}, {"input_tokens": 0, "output_tokens": 1}, TokenUsage(0, 1)),
        ({}, {"input_tokens": 3, "output_tokens": 1}, TokenUsage(3, 1)),
        (
            {"input_tokens": 3, "cache_read_input_tokens": 2},
            {"cache_read_input_tokens": None, "output_tokens": 1},
            TokenUsage(5, 1, cached_input_tokens=2),
        ),
        (
            {"input_tokens": 3, "cache_read_input_tokens": None},
            {"output_tokens": 1, "output_tokens_details": None},
            TokenUsage(3, 1),
        ),
        (
            {"input_tokens": 3},
            {"output_tokens": 2, "output_tokens_details": {"thinking_tokens": 9}},
            TokenUsage(3, 2, reasoning_tokens=2),
        ),
        (
            {"input_tokens": 3},
            {"output_tokens": 2, "output_tokens_details": {"thinking_tokens": -9}},
            TokenUsage(3, 2),
        ),
    ],
)
def test_a_later_figure_replaces_an_earlier_one_and_null_keeps_it(
    first: dict[str, Any], last: dict[str, Any], usage: TokenUsage
) -> None:
    assert reported(*decode(start(**first), end(**last), DONE)) == usage


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ({}, {}),
        ({}, {"output_tokens": 5}),
        ({"input_tokens": 5, "output_tokens": 5}, {}),
        ({"input_tokens": 5, "output_tokens": 5}, {"output_tokens": None}),
    ],
    ids=["nothing", "no input", "no output", "output null"],
)
def test_half_a_usage_is_not_reported(first: dict[str, Any], last: dict[str, Any]) -> None:
    assert decode(start(**first), end(**last), DONE) == [STOP]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"input_tokens": -5, "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": -5},
        {"input_tokens": 5, "output_tokens": 10**30},
        {"input_tokens": 10**12, "cache_read_input_tokens": 1, "output_tokens": 5},
        {"input_tokens": "five", "output_tokens": 5},
        {"input_tokens": 5, "cache_read_input_tokens": -1, "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": 5, "output_tokens_details": "many"},
    ],
)
def test_figures_without_sense_are_not_reported_and_spoil_nothing(nonsense: dict[str, Any]) -> None:
    good = {"input_tokens": 1, "output_tokens": 1}
    assert decode(start(**good), text("x"), end(**nonsense), DONE)[1:] == [STOP]


def test_nonsense_is_not_mended_by_what_follows_it() -> None:
    good = end(input_tokens=1, output_tokens=1)
    assert decode(start(input_tokens=-1), good, DONE) == [STOP]
    assert decode(start(input_tokens=1), end(None, output_tokens=-1), good, DONE) == [STOP]
