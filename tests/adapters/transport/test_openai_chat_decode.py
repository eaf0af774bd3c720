"""Bodies of ``POST /v1/chat/completions``, and what they mean."""

import json

import pytest

from chatnest.adapters.transport import Encoder
from chatnest.adapters.transport.openai_chat import OpenAIChatDialect
from chatnest.domain.events import Started, TextDelta
from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool, ToolChoice, ToolMode
from tests.adapters.transport.examples import NOW
from tests.adapters.transport.openai_chat_bodies import (
    ASKED,
    CALL,
    LARGEST,
    LOOK_UP,
    RESULT,
    Json,
    body,
    decode,
    said,
)


def test_a_conversation_keeps_its_roles_texts_and_order() -> None:
    messages: list[Json] = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Ünïcode \U0001f600\u2028"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    assert decode(body(messages=messages)) == ChatRequest(
        messages=(
            Message(Role.SYSTEM, "Be brief."),
            Message(Role.SYSTEM, "Be kind."),
            Message(Role.USER, "Ünïcode \U0001f600\u2028"),
            Message(Role.ASSISTANT, ""),
            Message.of_parts(Role.USER, [TextPart("a"), TextPart("b")]),
        ),
        model="fast",
    )


def test_every_field_that_is_understood_has_its_place() -> None:
    raw = body(
        max_tokens=500,
        max_completion_tokens=400,
        temperature=0.5,
        top_p=1,
        stop=["END", "\n"],
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        tools=[LOOK_UP],
        tool_choice="auto",
        parallel_tool_calls=False,
        user="someone",
        safety_identifier="hash",
        n=1,
        store=False,
        logprobs=False,
        top_logprobs=0,
        modalities=["text"],
        service_tier="auto",
        prediction=None,
        response_format={"type": "json_object"},
        seed=7,
        logit_bias={"50256": -100},
        reasoning_effort="low",
        metadata={"a": "b"},
        something_new=[1.5, None, "é"],
        frequency_penalty=None,
    )
    assert decode(raw) == ChatRequest(
        messages=(Message(Role.USER, "Hello"),),
        model="fast",
        wishes=Wishes(max_output_tokens=400, temperature=0.5),
        stop=("END", "\n"),
        extra={
            "response_format": {"type": "json_object"},
            "seed": 7,
            "logit_bias": {"50256": -100},
            "reasoning_effort": "low",
            "metadata": {"a": "b"},
            "something_new": [1.5, None, "é"],
        },
        extra_wire="openai",
        tools=(Tool("look_up"),),
        tool_choice=ToolChoice(ToolMode.AUTO, parallel=False),
        top_p=1.0,
        end_user="hash",
    )


def test_null_and_nothing_are_the_same() -> None:
    names = ["max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "stream"]
    names += ["stream_options", "tools", "tool_choice", "parallel_tool_calls", "user", "n", "store"]
    names += ["safety_identifier", "audio", "functions", "seed", "response_format"]
    assert decode(body(**dict.fromkeys(names))) == decode(body())
    assert decode(body(model=None)) == ChatRequest(messages=(Message(Role.USER, "Hello"),))
    assert decode(body(tools=[], tool_choice="none", parallel_tool_calls=True)) == decode(body())


@pytest.mark.parametrize(
    ("fields", "cap"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 5),
        ({"max_tokens": 7, "max_completion_tokens": 6}, 6),
        ({"max_tokens": LARGEST}, LARGEST),
        ({}, None),
    ],
)
def test_the_lower_of_both_caps_counts(fields: Json, cap: int | None) -> None:
    assert decode(body(**fields)).wishes.max_output_tokens == cap


def test_a_stop_may_be_one_text() -> None:
    assert decode(body(stop="END")).stop == ("END",)
    assert decode(body(stop=[])).stop == ()


def test_pictures_are_parts_of_what_a_user_says() -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/b", "detail": "auto"}},
    ]
    (message,) = decode(body(messages=[{"role": "user", "content": content}])).messages
    assert message == Message.of_parts(
        Role.USER,
        [
            TextPart("What is this?"),
            ImagePart("https://example.com/a.png"),
            ImagePart("data:image/png;base64,AA==", "low"),
            ImagePart("https://example.com/b"),
        ],
    )


def test_a_tool_exchange_keeps_its_calls_and_their_results() -> None:
    other = {**CALL, "id": "c2", "type": "function"}
    asked = {"role": "assistant", "content": "Wait.", "tool_calls": [CALL, other]}
    answer = {"role": "tool", "tool_call_id": "c2", "content": "", "name": "look_up"}
    assert decode(said(asked, answer, RESULT)).messages[1:] == (
        Message(
            Role.ASSISTANT,
            "Wait.",
            tool_calls=(ToolCall("c1", "look_up", "{"), ToolCall("c2", "look_up", "{")),
        ),
        Message(Role.TOOL, "", tool_call_id="c2"),
        Message(Role.TOOL, "42", tool_call_id="c1"),
    )
    assert decode(said(ASKED, RESULT)).messages[1] == Message(
        Role.ASSISTANT, "", tool_calls=(ToolCall("c1", "look_up", "{"),)
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"content": None, "refusal": "No."}, Message(Role.ASSISTANT, "No.")),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, Message(Role.ASSISTANT, "No.")),
        ({"content": "Hi", "refusal": None, "tool_calls": []}, Message(Role.ASSISTANT, "Hi")),
        (
            {"content": "Hi", "reasoning_content": "Hm"},
            Message.of_parts(Role.ASSISTANT, [ReasoningPart("Hm"), TextPart("Hi")]),
        ),
        ({"content": "Hi", "audio": None, "function_call": None}, Message(Role.ASSISTANT, "Hi")),
    ],
)
def test_an_answer_can_be_given_back_as_it_came(answer: Json, message: Message) -> None:
    assert decode(said({"role": "assistant", **answer})).messages[1] == message


def test_a_tool_s_schema_is_kept_as_the_text_that_it_is() -> None:
    schema = '{ "type": "object",\n "properties": {"é": {"const": 1e2}} }'
    raw = (
        b'{"messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"function","function":'
        b'{"name":"add","description":"Adds.","strict":true,"parameters":'
        + schema.encode()
        + b"}},"
        + json.dumps(LOOK_UP).encode()
        + b',{"type":"function","function":{"name":"x","parameters":null,"description":null}}]}'
    )
    assert decode(raw).tools == (
        Tool("add", "Adds.", schema, strict=True),
        Tool("look_up"),
        Tool("x"),
    )


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, ToolChoice(ToolMode.AUTO)),
        ({"tool_choice": "none"}, ToolChoice(ToolMode.NONE)),
        ({"tool_choice": "required"}, ToolChoice(ToolMode.REQUIRED)),
        ({"tool_choice": LOOK_UP}, ToolChoice(ToolMode.REQUIRED, "look_up")),
        ({"parallel_tool_calls": True}, ToolChoice(ToolMode.AUTO, parallel=True)),
        (
            {"tool_choice": LOOK_UP, "parallel_tool_calls": False},
            ToolChoice(ToolMode.REQUIRED, "look_up", parallel=False),
        ),
    ],
)
def test_a_choice_of_tools_is_understood(fields: Json, choice: ToolChoice | None) -> None:
    assert decode(body(tools=[LOOK_UP], **fields)).tool_choice == choice


def test_an_answer_is_a_stream_only_for_who_asks_for_one() -> None:
    dialect = OpenAIChatDialect()
    started = Started("r", "fast", "balanced", NOW)
    for stream in (False, None):
        reply = dialect.decode(body(stream=stream)).reply
        assert not isinstance(reply, Encoder)
    for options, told in (({}, False), (None, False), ({"include_usage": True}, True)):
        reply = dialect.decode(body(stream=True, stream_options=options)).reply
        assert isinstance(reply, Encoder)
        assert (b'"usage":null' in reply.encode([started, TextDelta("x")])) is told
