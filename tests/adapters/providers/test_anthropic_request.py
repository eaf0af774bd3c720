"""What a call is on Anthropic's wire."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_params
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError

from chatnest.adapters.providers.anthropic_request import (
    CALL_FIELDS,
    COSTLY_FIELDS,
    request_body,
)
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool, ToolChoice, ToolMode

HI = (Message(Role.USER, "Hi"),)
HI_TURN = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
PIXEL = ImagePart("data:image/png;base64,iVBORw0KGgo=")
PIXEL_BLOCK = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}
WEATHER = Tool("weather", "Tells it.", '{"type":"object","properties":{"city":{}}}')
SENT = TypeAdapter(MessageCreateParamsStreaming)


def call_of(**fields: Any) -> ProviderCall:
    return ProviderCall(
        **{"request_id": "r", "model": "m", "messages": HI, "max_output_tokens": 7, **fields}
    )


def body_of(**fields: Any) -> dict[str, Any]:
    body = json.loads(request_body(call_of(**fields)))
    assert isinstance(body, dict)
    return body


def turns_of(*messages: Message) -> Any:
    return body_of(messages=messages)["messages"]


def content_of(*parts: Part, role: Role = Role.USER) -> Any:
    """The last turn, of a message of *parts* after something that the user said."""
    last = Message.of_parts(role, parts)
    return turns_of(*HI, Message(Role.ASSISTANT, "Yes?"), *HI, last)[-1]["content"]


def reason_against(**fields: Any) -> str:
    with pytest.raises(ProviderError) as raised:
        body_of(**fields)
    assert raised.value.failure == Failure(FailureKind.INVALID_REQUEST, billable=False)
    return str(raised.value)


def read_whole(value: object) -> object:
    """*value* with its iterables read to their end: pydantic validates them no sooner."""
    if isinstance(value, dict):
        return {name: read_whole(member) for name, member in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [read_whole(member) for member in value]
    return value


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_a_plain_call_says_what_it_must_and_no_more() -> None:
    assert body_of() == {"model": "m", "max_tokens": 7, "messages": [HI_TURN], "stream": True}


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


def test_system_messages_stand_apart_in_their_order() -> None:
    parts = (TextPart("Be kind."), TextPart(" "), TextPart("Be fair."))
    body = body_of(
        messages=(
            Message(Role.SYSTEM, "Be brief."),
            *HI,
            Message(Role.SYSTEM, ""),
            Message.of_parts(Role.SYSTEM, parts),
        )
    )
    assert body["system"] == [text("Be brief."), text("Be kind."), text("Be fair.")]
    assert body["messages"] == [HI_TURN]


def test_messages_of_one_speaker_in_a_row_are_one_turn() -> None:
    assert turns_of(
        Message(Role.USER, "a"),
        Message.of_parts(Role.USER, (TextPart("b"), PIXEL)),
        Message(Role.ASSISTANT, "c"),
        Message(Role.ASSISTANT, "d"),
        Message(Role.SYSTEM, "between"),
        Message(Role.ASSISTANT, "e"),
        Message(Role.USER, "f"),
    ) == [
        {"role": "user", "content": [text("a"), text("b"), PIXEL_BLOCK]},
        {"role": "assistant", "content": [text("c"), text("d"), text("e")]},
        {"role": "user", "content": [text("f")]},
    ]


def test_a_conversation_with_tools_keeps_its_calls_and_results() -> None:
    wishes = (ToolCall("t1", "weather", '{"city": "Paris"}'), ToolCall("t2", "time", " "))
    assert turns_of(
        *HI,
        Message(Role.ASSISTANT, "Let me see.", tool_calls=wishes),
        Message(Role.TOOL, "Sunny", tool_call_id="t1"),
        Message(Role.USER, "And?"),
        Message(Role.TOOL, "", tool_call_id="t2", is_error=True),
    )[1:] == [
        {
            "role": "assistant",
            "content": [
                text("Let me see."),
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "t2", "name": "time", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [text("Sunny")]},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": True},
                text("And?"),
            ],
        },
    ]


def test_a_tool_may_answer_with_a_picture() -> None:
    result = Message.of_parts(Role.TOOL, (TextPart("Here:"), PIXEL), tool_call_id="t")
    wish = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("t", "draw", "{}"),))
    assert turns_of(*HI, wish, result)[-1]["content"] == [
        {"type": "tool_result", "tool_use_id": "t", "content": [text("Here:"), PIXEL_BLOCK]}
    ]


def test_arguments_are_embedded_as_the_model_wrote_them() -> None:
    written = '{"big": 123456789012345678901, "float": 1.50, "twice": 1, "twice": 2}'
    wish = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("t", "f", written),))
    assert written.encode() in request_body(call_of(messages=(*HI, wish)))


@pytest.mark.parametrize("arguments", ["{", "[]", "1", "null", '"{}"', '{"a":}', "{}{}", "no"])
def test_arguments_that_are_no_json_object_are_refused(arguments: str) -> None:
    wish = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("t", "f", arguments),))
    reason = reason_against(messages=(*HI, wish))
    assert reason == "the arguments of a tool call are no JSON object"


def test_thoughts_go_back_under_their_seal() -> None:
    parts = (
        ReasoningPart("hm", signature="s1"),
        ReasoningPart("", signature="s2"),
        ReasoningPart("", signature="s3", redacted=True),
        TextPart("So."),
    )
    assert content_of(*parts, role=Role.ASSISTANT) == [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "thinking", "thinking": "", "signature": "s2"},
        {"type": "redacted_thinking", "data": "s3"},
        text("So."),
    ]


@pytest.mark.parametrize(
    "foreign", [ReasoningPart("hm"), ReasoningPart("hm", ""), ReasoningPart("", redacted=True)]
)
def test_thoughts_without_a_seal_are_left_out(foreign: ReasoningPart) -> None:
    assert content_of(foreign, TextPart("So."), role=Role.ASSISTANT) == [text("So.")]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://a.test/b.png?c=d,e", {"type": "url", "url": "https://a.test/b.png?c=d,e"}),
        ("HTTPS://a.test/", {"type": "url", "url": "HTTPS://a.test/"}),
        (
            "data:image/jpeg;base64,AA/+=",
            {"type": "base64", "media_type": "image/jpeg", "data": "AA/+="},
        ),
        (
            "DATA:Image/WebP;BASE64,AA==",
            {"type": "base64", "media_type": "image/webp", "data": "AA=="},
        ),
    ],
)
def test_a_picture_is_an_address_or_holds_its_data(url: str, source: dict[str, str]) -> None:
    assert content_of(ImagePart(url, "high"))[-1] == {"type": "image", "source": source}


@pytest.mark.parametrize(
    "url",
    [
        *("", "http://a.test/b.png", "ftp://a.test/b", "file:///etc/passwd", "b.png"),
        *("data:image/png;base64,", "data:image/png;base64", "data:image/png,abc"),
        *("data:image/svg+xml;base64,AA==", "data:text/plain;base64,AA==", "data:,x"),
    ],
)
def test_any_other_picture_is_refused(url: str) -> None:
    message = Message.of_parts(Role.USER, (ImagePart(url),))
    assert reason_against(messages=(message,)).startswith("a picture must be")


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.ASSISTANT])
def test_only_the_user_and_tools_show_pictures(role: Role) -> None:
    reason = reason_against(messages=(*HI, Message.of_parts(role, (PIXEL,))))
    assert "may hold pictures" in reason


def test_blank_texts_are_never_sent() -> None:
    assert turns_of(
        Message(Role.USER, ""),
        Message.of_parts(Role.USER, (TextPart(" \n"), TextPart("a"), TextPart(""))),
        Message(Role.ASSISTANT, " "),
        Message.of_parts(Role.ASSISTANT, (ReasoningPart("foreign"), TextPart(""))),
        Message(Role.USER, "b"),
    ) == [{"role": "user", "content": [text("a"), text("b")]}]


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (Message(Role.USER, " "),),
        (Message(Role.SYSTEM, "Be brief."),),
        (*HI, Message(Role.ASSISTANT, "Yes?"), Message(Role.USER, "\n")),
    ],
    ids=["none", "blank", "system alone", "blank at last"],
)
def test_a_conversation_that_asks_nothing_is_refused(messages: tuple[Message, ...]) -> None:
    assert reason_against(messages=messages) == "the last message says nothing"


@pytest.mark.parametrize(
    "messages",
    [
        (Message(Role.ASSISTANT, "Hello."), *HI),
        (Message(Role.SYSTEM, "Be brief."), Message(Role.ASSISTANT, "Hello."), *HI),
        (Message(Role.TOOL, "Sunny", tool_call_id="t"), *HI),
        (Message(Role.USER, ""), Message(Role.ASSISTANT, "Hello."), *HI),
    ],
    ids=["assistant", "after the system's", "tool", "after a blank one"],
)
def test_a_conversation_must_begin_with_the_user(messages: tuple[Message, ...]) -> None:
    assert "begin with a message of the user" in reason_against(messages=messages)


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
