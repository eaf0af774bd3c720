"""What a call is on OpenAI's wire."""

import json
from typing import Any

import pytest
from openai.types.chat import completion_create_params

from chatnest.adapters.providers.openai_request import COSTLY_FIELDS, request_body
from chatnest.domain.errors import FailureKind, ProviderError
from chatnest.domain.messages import Message, Role, ToolCall
from chatnest.domain.ports import ProviderCall

HI = (Message(Role.USER, "Hi"),)


def body_of(**fields: Any) -> dict[str, Any]:
    call = ProviderCall(
        **{"request_id": "r", "model": "m", "messages": HI, "max_output_tokens": 7, **fields}
    )
    body = json.loads(request_body(call))
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


def test_temperature_and_stop_are_sent_where_they_are_given() -> None:
    body = body_of(temperature=0.0, stop=("a", "b"))
    assert body["temperature"] == 0.0
    assert body["stop"] == ["a", "b"]


@pytest.mark.parametrize(
    ("model", "cap_field", "takes_temperature"),
    [
        ("gpt-4o-mini", "max_tokens", True),
        ("gpt-4.1", "max_tokens", True),
        ("gpt-5", "max_completion_tokens", False),
        ("gpt-5.1-mini-2026-01-01", "max_completion_tokens", False),
        ("gpt-5-chat-latest", "max_completion_tokens", True),
        ("gpt-5.2-chat-latest", "max_completion_tokens", True),
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
    model: str, cap_field: str, takes_temperature: bool
) -> None:
    body = body_of(model=model, temperature=0.5)
    caps = {name: value for name, value in body.items() if name.startswith("max_")}
    assert caps == {cap_field: 7}
    assert ("temperature" in body) is takes_temperature


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


def test_an_empty_message_keeps_its_content() -> None:
    assert body_of(messages=(Message(Role.USER, ""),))["messages"] == [
        {"role": "user", "content": ""}
    ]


def test_fields_of_the_client_are_passed_on_as_they_came() -> None:
    extra = {"seed": 7, "tools": [{"type": "function"}], "top_p": 0.9, "unknown": {"a": None}}
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


def test_every_parameter_of_the_sdk_was_judged_by_its_cost() -> None:
    """A new parameter fails this test until somebody has read what it may cost."""
    harmless = {
        *("frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "metadata"),
        *("moderation", "parallel_tool_calls", "presence_penalty", "prompt_cache_key"),
        *("prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "response_format"),
        *("safety_identifier", "seed", "store", "tool_choice", "tools", "top_logprobs", "top_p"),
        *("user", "verbosity"),
    }
    known = completion_create_params.CompletionCreateParamsBase.__annotations__.keys()
    sent = body_of(extra=dict.fromkeys(known, "?"))
    assert {name for name in known if sent.get(name) == "?"} == harmless & known
    assert harmless <= known


@pytest.mark.parametrize("value", [object(), "\ud800"], ids=["no JSON type", "lone surrogate"])
def test_what_cannot_be_written_as_json_is_refused_and_costs_nothing(value: object) -> None:
    with pytest.raises(ProviderError) as raised:
        body_of(extra={"field": value})
    assert raised.value.failure.kind is FailureKind.INVALID_REQUEST
    assert not raised.value.failure.billable
