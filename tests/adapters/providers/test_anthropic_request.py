"""What a call is on Anthropic's wire."""

from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_params
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError

from chatnest.adapters.providers.anthropic_request import CALL_FIELDS, COSTLY_FIELDS
from chatnest.domain.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)
from chatnest.domain.tools import Tool, ToolChoice, ToolMode
from tests.adapters.providers.anthropic_calls import HI, PIXEL, body_of, reason_against

WEATHER = Tool("weather", "Tells it.", '{"type":"object","properties":{"city":{}}}')
SENT = TypeAdapter(MessageCreateParamsStreaming)


def read_whole(value: object) -> object:
    """*value* with its iterables read to their end: pydantic validates them no sooner."""
    if isinstance(value, dict):
        return {name: read_whole(member) for name, member in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [read_whole(member) for member in value]
    return value


def test_a_plain_call_says_what_it_must_and_no_more() -> None:
    turn = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    assert body_of() == {"model": "m", "max_tokens": 7, "messages": [turn], "stream": True}


def test_what_is_given_is_sent_under_anthropics_names() -> None:
    body = body_of(temperature=0.0, top_p=0.5, stop=("a", "\nb"), end_user="u-1")
    assert body["temperature"] == 0.0
    assert body["top_p"] == 0.5
    assert body["stop_sequences"] == ["a", "\nb"]
    assert body["metadata"] == {"user_id": "u-1"}


@pytest.mark.parametrize(("asked", "sent"), [(0.3, 0.3), (1.0, 1.0), (1.5, 1.0), (2.0, 1.0)])
def test_a_temperature_beyond_the_wires_highest_is_the_highest(asked: float, sent: float) -> None:
    assert body_of(temperature=asked)["temperature"] == sent


@pytest.mark.parametrize(
    ("model", "samplers"),
    [
        ("claude-3-haiku-20240307", {"temperature"}),
        ("claude-opus-4-20250514", {"temperature"}),
        ("claude-opus-4-1", {"temperature"}),
        ("claude-haiku-4-5-20251001", {"temperature"}),
        ("claude-sonnet-4-6", {"temperature"}),
        ("claude-opus-4-6", {"temperature"}),
        ("claude-opus-4-7", set()),
        ("claude-opus-4-8", set()),
        ("claude-sonnet-5", set()),
        ("claude-haiku-5-5", set()),
        ("claude-mythos-preview", set()),
        ("claude-fable-5-2", set()),
        ("smollm2-135m-instruct", {"temperature", "top_p"}),
        ("", {"temperature", "top_p"}),
    ],
)
def test_each_family_of_models_is_sent_as_many_samplers_as_it_takes(
    model: str, samplers: set[str]
) -> None:
    body = body_of(model=model, temperature=0.5, top_p=0.9)
    assert body.keys() & {"temperature", "top_p"} == samplers


def test_top_p_alone_is_sent_where_a_model_takes_one_sampler() -> None:
    assert body_of(model="claude-opus-4-6", top_p=0.9)["top_p"] == 0.9


@pytest.mark.parametrize(
    ("thinking", "sampled"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, False),
        ({"type": "adaptive"}, False),
        ({"type": "disabled"}, True),
    ],
)
def test_a_model_that_thinks_keeps_its_own_temperature(
    thinking: dict[str, Any], sampled: bool
) -> None:
    body = body_of(temperature=0.5, top_p=0.9, extra={"thinking": thinking})
    assert ("temperature" in body, "top_p" in body) == (sampled, sampled)
    assert body["thinking"] == thinking


def test_tools_are_sent_with_their_schemas() -> None:
    tools = (
        WEATHER,
        Tool("now"),
        Tool("exact", parameters='{"type":"object"}', strict=True),
        Tool("loose", parameters="{}", strict=False),
    )
    assert body_of(tools=tools)["tools"] == [
        {
            "name": "weather",
            "description": "Tells it.",
            "input_schema": {"type": "object", "properties": {"city": {}}},
        },
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        {"name": "exact", "input_schema": {"type": "object"}, "strict": True},
        {"name": "loose", "input_schema": {"type": "object"}, "strict": False},
    ]


@pytest.mark.parametrize("parameters", ["", "{", "true", "[]"])
def test_parameters_that_are_no_json_object_are_refused(parameters: str) -> None:
    assert "no JSON object" in reason_against(tools=(Tool("f", parameters=parameters),))


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(), {"type": "auto"}),
        (ToolChoice(parallel=True), {"type": "auto", "disable_parallel_tool_use": False}),
        (
            ToolChoice(ToolMode.REQUIRED, parallel=False),
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        (ToolChoice(ToolMode.REQUIRED, "weather"), {"type": "tool", "name": "weather"}),
        (
            ToolChoice(ToolMode.REQUIRED, "weather", False),
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        ),
        (ToolChoice(ToolMode.NONE), {"type": "none"}),
        (ToolChoice(ToolMode.NONE, parallel=False), {"type": "none"}),
    ],
)
def test_a_tool_choice_is_said_in_anthropics_words(
    choice: ToolChoice, sent: dict[str, Any]
) -> None:
    assert body_of(tools=(WEATHER,), tool_choice=choice)["tool_choice"] == sent


def test_without_tools_there_is_nothing_to_choose() -> None:
    assert "tool_choice" not in body_of(tool_choice=ToolChoice())


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_a_blank_stop_sequence_is_refused(blank: str) -> None:
    assert "stop sequence" in reason_against(stop=("a", blank))


def test_fields_of_the_client_are_passed_on_as_they_came() -> None:
    extra = {
        "top_k": 5,
        "output_config": {"effort": "low"},
        "cache_control": {"type": "ephemeral", "ttl": "5m"},
        "unknown": {"a": None},
    }
    body = body_of(extra=extra)
    assert {name: body[name] for name in extra} == extra


def test_a_cache_is_written_for_five_minutes_or_not_at_all() -> None:
    plain = {"type": "ephemeral"}
    assert body_of(extra={"cache_control": plain})["cache_control"] == plain
    assert body_of(extra={"cache_control": None})["cache_control"] is None
    assert body_of(extra={"cache_control": {**plain, "ttl": "1h"}}) == body_of()
    assert body_of(extra={"cache_control": {**plain, "ttl": "1d"}}) == body_of()


@pytest.mark.parametrize("model", ["m", "claude-opus-4-6", "claude-opus-5"])
def test_the_client_never_overrides_what_costs_money(model: str) -> None:
    costly = dict.fromkeys(COSTLY_FIELDS | CALL_FIELDS, 99_999)
    assert body_of(model=model, extra=costly) == body_of(model=model)


def test_every_parameter_of_the_sdk_was_judged_by_its_cost() -> None:
    """A new parameter fails this test until somebody has read what it may cost."""
    harmless = {
        *("cache_control", "diagnostics", "fallback_credit_token", "output_config", "thinking"),
    }
    known = {
        name
        for params in (message_create_params, beta_params)
        for name in params.MessageCreateParamsBase.__annotations__
    }
    sent = body_of(extra=dict.fromkeys(known, "?"))
    assert {name for name in known if sent.get(name) == "?"} == harmless
    assert known >= COSTLY_FIELDS
    assert known >= CALL_FIELDS - {"stream", "temperature", "top_p"}


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"field": object()}},
        {"extra": {"field": "\ud800"}},
        {"messages": (Message(Role.USER, "\ud800"),)},
    ],
    ids=["no JSON type", "lone surrogate", "lone surrogate in a text"],
)
def test_what_cannot_be_written_as_json_is_refused_and_costs_nothing(
    fields: dict[str, Any],
) -> None:
    assert reason_against(**fields) == "the request cannot be written as JSON"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"messages": (Message(Role.SYSTEM, "Be brief."), *HI), "stop": ("a",), "end_user": "u"},
        {
            "messages": (
                Message.of_parts(Role.USER, (TextPart("a"), PIXEL, ImagePart("https://a.test"))),
                Message.of_parts(
                    Role.ASSISTANT,
                    (ReasoningPart("hm", "s"), ReasoningPart("", "s", True), TextPart("b")),
                    tool_calls=(ToolCall("t", "weather", '{"city":["Paris"]}'),),
                ),
                Message.of_parts(
                    Role.TOOL, (TextPart("c"), PIXEL), tool_call_id="t", is_error=True
                ),
                Message(Role.USER, "d"),
            ),
            "tools": (WEATHER, Tool("now", strict=True)),
            "tool_choice": ToolChoice(ToolMode.REQUIRED, "weather", False),
        },
        {"tools": (WEATHER,), "tool_choice": ToolChoice(ToolMode.REQUIRED, parallel=True)},
        {"tools": (WEATHER,), "tool_choice": ToolChoice(ToolMode.NONE)},
        {"extra": {"thinking": {"type": "adaptive"}, "cache_control": {"type": "ephemeral"}}},
    ],
    ids=["plain", "system", "everything", "any", "none", "extra"],
)
def test_the_sdks_own_types_allow_what_is_sent(fields: dict[str, Any]) -> None:
    body = body_of(**fields)
    assert read_whole(SENT.validate_python(body)) == body


def test_the_sdks_own_types_do_not_allow_everything() -> None:
    body = body_of(messages=(Message.of_parts(Role.USER, (PIXEL,)),))
    body["messages"][0]["content"][0]["source"]["media_type"] = "image/bmp"
    with pytest.raises(ValidationError):
        read_whole(SENT.validate_python(body))
