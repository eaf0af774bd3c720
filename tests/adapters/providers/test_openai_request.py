"""What a call is on OpenAI's wire."""

import json
from typing import Any

import pytest
from openai.types.chat import completion_create_params

from chatnest.adapters.providers.openai_request import CALL_FIELDS, COSTLY_FIELDS, request_body
from chatnest.adapters.providers.openai_servers import COMPATIBLE, ServerQuirks
from chatnest.domain.errors import FailureKind, ProviderError
from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool, ToolChoice, ToolMode

HI = (Message(Role.USER, "Hi"),)


def body_of(server: ServerQuirks = COMPATIBLE, **fields: Any) -> dict[str, Any]:
    call = ProviderCall(
        **{"request_id": "r", "model": "m", "messages": HI, "max_output_tokens": 7, **fields}
    )
    body = json.loads(request_body(call, server))
    assert isinstance(body, dict)
    return body


def test_a_plain_call_says_what_it_must_and_no_more() -> None:
    assert body_of() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 7,
    }


def test_what_is_given_beside_the_messages_is_sent() -> None:
    body = body_of(temperature=0.0, top_p=0.5, stop=("a", "b"), end_user="u1")
    assert body["temperature"] == 0.0
    assert body["top_p"] == 0.5
    assert body["stop"] == ["a", "b"]
    assert body["user"] == "u1"


@pytest.mark.parametrize(
    ("model", "cap_field", "takes_sampling"),
    [
        ("gpt-4o-mini", "max_tokens", True),
        ("gpt-4.1", "max_tokens", True),
        ("gpt-5", "max_completion_tokens", False),
        ("gpt-5.1-mini-2026-01-01", "max_completion_tokens", False),
        ("gpt-5-chat-latest", "max_completion_tokens", True),
        ("gpt-5.2-chat-latest", "max_completion_tokens", False),
        ("gpt-6.1-sol", "max_completion_tokens", False),
        ("o1", "max_completion_tokens", False),
        ("o3-mini", "max_completion_tokens", False),
        ("o4-mini-2025-04-16", "max_completion_tokens", False),
        ("ft:gpt-5-mini:us::1", "max_completion_tokens", False),
        ("ft:gpt-4o:us::1", "max_tokens", True),
        ("gpt-oss-20b", "max_tokens", True),
        ("openai/gpt-5", "max_tokens", True),
        ("olmo-2", "max_tokens", True),
        ("smollm2-135m-instruct", "max_tokens", True),
        ("", "max_tokens", True),
    ],
)
def test_each_family_of_models_is_sent_what_it_wants(
    model: str, cap_field: str, takes_sampling: bool
) -> None:
    body = body_of(model=model, temperature=0.5, top_p=0.9)
    caps = {name: value for name, value in body.items() if name.startswith("max_")}
    assert caps == {cap_field: 7}
    assert ("temperature" in body) is takes_sampling
    assert ("top_p" in body) is takes_sampling


def test_a_conversation_with_tools_keeps_its_calls_and_results() -> None:
    wish = ToolCall("call_1", "weather", '{"city":"Paris"}')
    messages = (
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.ASSISTANT, "", tool_calls=(wish,)),
        Message(Role.TOOL, "Sunny", tool_call_id="call_1"),
        Message(Role.ASSISTANT, "It is sunny.", tool_calls=(wish,)),
    )
    wire_wish = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
    }
    assert body_of(messages=messages)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "tool_calls": [wire_wish]},
        {"role": "tool", "content": "Sunny", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It is sunny.", "tool_calls": [wire_wish]},
    ]


def test_a_tool_that_failed_says_so_by_its_text() -> None:
    failed = Message(Role.TOOL, "No such city.", tool_call_id="call_1", is_error=True)
    assert body_of(messages=(failed,))["messages"] == [
        {"role": "tool", "content": "No such city.", "tool_call_id": "call_1"}
    ]


PICTURE = ImagePart("https://example.test/cat.png")


@pytest.mark.parametrize(
    ("model", "detail", "wire"),
    [
        ("gpt-4o", None, {}),
        ("gpt-4o", "auto", {"detail": "auto"}),
        ("gpt-4o", "low", {"detail": "low"}),
        ("gpt-5.1", "high", {"detail": "high"}),
        ("gpt-5.6-sol", None, {"detail": "high"}),
        ("gpt-5.4", "original", {"detail": "high"}),
        ("openai/gpt-6-astra", "auto", {"detail": "high"}),
        ("ft:gpt-6.1-sol:us::1", "low", {"detail": "low"}),
    ],
)
def test_a_picture_is_sent_so_that_its_tokens_are_bounded(
    model: str, detail: str | None, wire: dict[str, str]
) -> None:
    seen = ImagePart(PICTURE.url, detail)
    message = Message.of_parts(Role.USER, [TextPart("What is"), seen, TextPart(""), TextPart("?")])
    assert body_of(model=model, messages=(message,))["messages"][0]["content"] == [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": PICTURE.url, **wire}},
        {"type": "text", "text": "?"},
    ]


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.ASSISTANT, Role.TOOL])
def test_a_picture_that_no_user_sends_is_refused_and_costs_nothing(role: Role) -> None:
    assert_unsendable(messages=(Message.of_parts(role, [PICTURE], tool_call_id="c"),))


def test_several_texts_are_one_and_thoughts_stay_here() -> None:
    thought = Message.of_parts(Role.ASSISTANT, [ReasoningPart("hm", "seal"), TextPart("Paris.")])
    texts = Message.of_parts(Role.USER, [TextPart("One"), TextPart("Two")])
    assert body_of(messages=(texts, thought))["messages"] == [
        {"role": "user", "content": "One\nTwo"},
        {"role": "assistant", "content": "Paris."},
    ]


SCHEMA = '{"type": "object", "properties": {"a": {"enum": [1.0, "x"]}}}'


def test_tools_are_sent_as_they_came() -> None:
    tools = (Tool("f", "Does it.", SCHEMA, strict=True), Tool("g"))
    body = body_of(tools=tools)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "Does it.",
                "strict": True,
                "parameters": json.loads(SCHEMA),
            },
        },
        {
            "type": "function",
            "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    assert "tool_choice" not in body
    assert SCHEMA.encode() in request_body(ProviderCall("r", "m", HI, 7, tools=tools))


@pytest.mark.parametrize("parameters", ["", "{", "[]", "{}}", '{}},"n":9,"x":{', '{"a":}'])
def test_parameters_that_are_no_json_object_are_refused(parameters: str) -> None:
    assert_unsendable(tools=(Tool("f", parameters=parameters),))


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(), {}),
        (ToolChoice(parallel=False), {"parallel_tool_calls": False}),
        (ToolChoice(ToolMode.NONE), {"tool_choice": "none"}),
        (
            ToolChoice(ToolMode.REQUIRED, parallel=True),
            {"tool_choice": "required", "parallel_tool_calls": True},
        ),
        (
            ToolChoice(ToolMode.REQUIRED, "f"),
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
    ],
)
def test_how_tools_are_to_be_used_is_said_beside_tools_alone(
    choice: ToolChoice, wire: dict[str, object]
) -> None:
    body = body_of(tools=(Tool("f"),), tool_choice=choice)
    assert {name: body[name] for name in body if name not in body_of()} == {
        "tools": body["tools"],
        **wire,
    }
    assert body_of(tool_choice=choice) == body_of()


def test_a_model_that_thinks_or_calls_is_told_to_call_unless_the_client_says_otherwise() -> None:
    tools = (Tool("f"),)
    assert body_of(model="gpt-5.6-sol", tools=tools)["reasoning_effort"] == "none"
    asked = body_of(model="gpt-5.6-sol", tools=tools, extra={"reasoning_effort": "low"})
    assert asked["reasoning_effort"] == "low"
    assert "reasoning_effort" not in body_of(model="gpt-5.6-sol")
    assert "reasoning_effort" not in body_of(model="gpt-5.1", tools=tools)


def test_an_empty_message_keeps_its_content() -> None:
    assert body_of(messages=(Message(Role.USER, ""),))["messages"] == [
        {"role": "user", "content": ""}
    ]


def test_fields_of_the_client_are_passed_on_as_they_came() -> None:
    extra = {"seed": 7, "logprobs": True, "reasoning_effort": "low", "unknown": {"a": None}}
    body = body_of(extra=extra)
    assert {name: body[name] for name in extra} == extra


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5"])
def test_the_client_never_overrides_what_costs_money(model: str) -> None:
    costly = dict.fromkeys(
        (*COSTLY_FIELDS, "max_tokens", "max_completion_tokens", "model", "messages", "stream"),
        99_999,
    )
    costly["stream_options"] = costly["temperature"] = costly["stop"] = 99_999
    assert body_of(model=model, extra=costly) == body_of(model=model)


def test_the_client_never_overrides_what_the_call_says() -> None:
    extra = dict.fromkeys(CALL_FIELDS, "the client's")
    assert body_of(extra=extra) == body_of()
    said: dict[str, Any] = {
        "tools": (Tool("f"),),
        "tool_choice": ToolChoice(parallel=False),
        "end_user": "u",
    }
    assert body_of(extra=extra, **said) == body_of(**said)


def test_every_parameter_of_the_sdk_was_judged_by_its_cost() -> None:
    """A new parameter fails this test until somebody has read what it may cost."""
    harmless = {
        *("frequency_penalty", "logit_bias", "logprobs", "metadata", "moderation"),
        *("presence_penalty", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier"),
        *("seed", "store", "top_logprobs", "verbosity"),
    }
    known = completion_create_params.CompletionCreateParamsBase.__annotations__.keys()
    sent = body_of(extra=dict.fromkeys(known, "?"))
    assert {name for name in known if sent.get(name) == "?"} == harmless & known
    assert harmless <= known


@pytest.mark.parametrize("value", [object(), "\ud800"], ids=["no JSON type", "lone surrogate"])
def test_what_cannot_be_written_as_json_is_refused_and_costs_nothing(value: object) -> None:
    assert_unsendable(extra={"field": value})


def assert_unsendable(**fields: Any) -> None:
    with pytest.raises(ProviderError) as raised:
        body_of(**fields)
    assert raised.value.failure.kind is FailureKind.INVALID_REQUEST
    assert not raised.value.failure.billable
