"""Bodies of ``POST /v1/chat/completions``: what they mean, and what is said of those refused."""

import json
from typing import Any

import pytest

from chatnest.adapters.transport import Encoder
from chatnest.adapters.transport.openai_chat import OpenAIChatDialect
from chatnest.adapters.transport.openai_chat_request import decode_chat_completion
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.events import Started, TextDelta
from chatnest.domain.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool, ToolChoice, ToolMode
from tests.adapters.transport.examples import NOW

Json = dict[str, Any]
HELLO: Json = {"role": "user", "content": "Hello"}
LOOK_UP: Json = {"type": "function", "function": {"name": "look_up"}}
CALL: Json = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{"}}
ASKED: Json = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT: Json = {"role": "tool", "tool_call_id": "c1", "content": "42"}
LARGEST = 2**53 - 1


def body(**fields: object) -> bytes:
    return json.dumps({"model": "fast", "messages": [HELLO], **fields}).encode()


def said(*messages: Json) -> bytes:
    return body(messages=[HELLO, *messages])


def decode(raw: bytes) -> ChatRequest:
    return decode_chat_completion(raw)[0]


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode(raw)
    return caught.value.field, caught.value.reason


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


def part(part_type: str, **fields: object) -> bytes:
    return said({"role": "user", "content": [{"type": part_type, **fields}]})


def picture(url: object, **fields: object) -> bytes:
    return part("image_url", image_url={"url": url, **fields})


def tool(**fields: object) -> bytes:
    return body(tools=[{"type": "function", "function": {"name": "add", **fields}}])


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", None, "the body is empty"),
        (b"[]", None, 'must be a JSON object with "messages"'),
        (b"{}", "messages", "is missing; it must be a list"),
        (body(messages=[]), "messages", "must be a list of 1 to 2000"),
        (body(messages=[None]), "messages[0]", "must be an object"),
        (said({"content": "x"}), "messages[1].role", "is missing"),
        (said({"role": "function", "content": "x"}), "messages[1].role", 'use "tool"'),
        (said({"role": "User", "content": "x"}), "messages[1].role", 'must be "system"'),
        (said({"role": "user"}), "messages[1].content", "is missing"),
        (said({"role": "user", "content": None}), "messages[1].content", "must be a text, or"),
        (said({"role": "system", "content": 3}), "messages[1].content", "must be a text, or"),
        (said({"role": "user", "content": ["x"]}), "messages[1].content[0]", "must be a part"),
        (said({**HELLO, "name": "ann"}), "messages[1].name", "leave it out"),
        (part("input_audio"), "messages[1].content[0].type", "audio and files are not taken"),
        (part("file"), "messages[1].content[0].type", "audio and files are not taken"),
        (part("refusal", refusal="x"), "messages[1].content[0].type", 'must be "text"'),
        (part("text"), "messages[1].content[0].text", "is missing"),
        (part("text", text=3), "messages[1].content[0].text", "must be a text"),
        (part("image_url"), "messages[1].content[0].image_url", "is missing"),
        (picture(3), "messages[1].content[0].image_url.url", "must be a text"),
        (picture("file:///etc/passwd"), "messages[1].content[0].image_url.url", "https:"),
        (picture("data:text/html,x"), "messages[1].content[0].image_url.url", "data:image/"),
        (
            picture("https://x/y", detail="original"),
            "messages[1].content[0].image_url.detail",
            'must be "auto", "low" or "high"',
        ),
        (
            said({"role": "assistant", "content": [{"type": "image_url"}]}),
            "messages[1].content[0].type",
            'must be "text"',
        ),
        (said({"role": "assistant"}), "messages[1].content", "neither"),
        (
            said({"role": "assistant", "content": None, "tool_calls": []}),
            "messages[1].content",
            "neither",
        ),
        (said({**ASKED, "function_call": {}}), "messages[1].function_call", "older way"),
        (said({**ASKED, "audio": {"id": "x"}}), "messages[1].audio", "audio is not taken"),
        (
            said({**ASKED, "tool_calls": [{**CALL, "type": "custom"}]}),
            "messages[1].tool_calls[0].type",
            "custom tools are not taken",
        ),
        (
            said({**ASKED, "tool_calls": [{**CALL, "id": ""}]}),
            "messages[1].tool_calls[0].id",
            "must be a text of 1 to 256",
        ),
        (
            said({**ASKED, "tool_calls": [{"id": "c1", "function": {"name": "a b"}}]}),
            "messages[1].tool_calls[0].function.name",
            "must be 1 to 64 letters",
        ),
        (
            said({**ASKED, "tool_calls": [{"id": "c1", "function": {"name": "a"}}]}),
            "messages[1].tool_calls[0].function.arguments",
            "is missing",
        ),
        (said({**RESULT, "tool_call_id": None}), "messages[1].tool_call_id", "must be a text"),
        (said(RESULT), "messages[1]", "is the result of no call"),
        (said(ASKED, RESULT, RESULT), "messages[3]", "is the result of no call"),
        (said(ASKED, HELLO, RESULT), "messages[1]", "must be followed by the result of each"),
        (said(ASKED, HELLO), "messages[1]", "must be followed by the result of each"),
        (said(ASKED), "messages[1]", "must be followed by the result of each"),
        (said({**ASKED, "tool_calls": [CALL, CALL]}), "messages[1]", "two tool calls with one id"),
        (said({"role": "user", "content": " "}), "messages[1].content", "is blank"),
        (said({"role": "user", "content": []}), "messages[1].content", "is blank"),
        (body(messages=[{"role": "system", "content": "x"}]), "messages", 'the role "user"'),
        (body(model=""), "model", "must be a text of 1 to 256"),
        (body(model=["fast"]), "model", "the name of a model"),
        (body(max_tokens=0), "max_tokens", "must be a whole number from 1"),
        (body(max_completion_tokens=1.5), "max_completion_tokens", "must be a whole number"),
        (body(max_completion_tokens=LARGEST + 1), "max_completion_tokens", "must be a whole"),
        (body(temperature=2.1), "temperature", "must be a number from 0 to 2"),
        (body(temperature=float("nan")), "temperature", "not a number that JSON has"),
        (body(top_p=-0.1), "top_p", "must be a number from 0 to 1"),
        (body(stop=["a"] * 5), "stop", "a list of at most 4"),
        (body(stop=[""]), "stop[0]", "must be a text that is not empty"),
        (body(stop=""), "stop", "must be a text"),
        (body(stream="yes"), "stream", "must be true or false"),
        (body(stream_options=True), "stream_options", "must be an object"),
        (body(stream_options={"include_usage": 1}), "stream_options.include_usage", "true or"),
        (body(tools={}), "tools", "must be a list of at most 128"),
        (body(tools=[LOOK_UP] * 129), "tools", "must be a list of at most 128"),
        (body(tools=[{"type": "custom"}]), "tools[0].type", "custom tools are not taken"),
        (body(tools=[{"type": "function"}]), "tools[0].function", "is missing"),
        (tool(name="a.b"), "tools[0].function.name", "must be 1 to 64 letters"),
        (tool(name="a\n"), "tools[0].function.name", "must be 1 to 64 letters"),
        (tool(name="a" * 65), "tools[0].function.name", "must be 1 to 64 letters"),
        (tool(name="é"), "tools[0].function.name", "must be 1 to 64 letters"),
        (tool(parameters=[]), "tools[0].function.parameters", "JSON Schema"),
        (tool(parameters="{}"), "tools[0].function.parameters", "JSON Schema"),
        (tool(parameters={"a": "\ud800"}), "tools[0].function.parameters.a", "half of a surrogate"),
        (tool(strict="yes"), "tools[0].function.strict", "must be true or false"),
        (body(tool_choice="required"), "tool_choice", 'without "tools"'),
        (body(tool_choice=LOOK_UP), "tool_choice", "must name a function"),
        (body(tool_choice="any"), "tool_choice", 'must be "none", "auto"'),
        (body(tool_choice={"type": "allowed_tools"}), "tool_choice.type", "only the allowed ones"),
        (body(n=2), "n", "must be 1"),
        (body(n_cmpl=2), "n_cmpl", "must be 1"),
        (body(best_of=2), "best_of", "must be 1"),
        (body(n_predict=9), "n_predict", "max_completion_tokens"),
        (body(store=True), "store", "must be false"),
        (body(logprobs=True), "logprobs", "must be false"),
        (body(top_logprobs=3), "top_logprobs", "must be 0"),
        (body(modalities=["text", "audio"]), "modalities[1]", 'must be "text"'),
        (body(audio={"voice": "alloy"}), "audio", "is not supported"),
        (body(prediction={}), "prediction", "is not supported"),
        (body(web_search_options={}), "web_search_options", "is not supported"),
        (body(service_tier="priority"), "service_tier", 'must be "auto"'),
        (body(moderation={}), "moderation", "could not be given"),
        (body(functions=[]), "functions", 'use "tools"'),
        (body(function_call="auto"), "function_call", 'use "tools"'),
        (body(seed=float("inf")), "seed", "not a number that JSON has"),
        (body(metadata={"a": "\ud800"}), "metadata.a", "half of a surrogate pair"),
        (body(metadata={"a": "\0"}), "metadata.a", "NUL"),
        (
            said({**ASKED, "tool_calls": [{**CALL, "x": "\0"}]}),
            "messages[1].tool_calls[0].x",
            "NUL",
        ),
        (body()[:-1] + b',"model":"other"}', "model", "is given twice"),
        (b'{"messages":' + b"[" * 100_000, "messages[0]", "must be an object"),
        (body()[:-1] + b',"y":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "too deeply"),
        (tool()[:-4] + b',"parameters":' + b'{"a":' * 100_000, None, "nested too deeply"),
    ],
)
def test_a_bad_body_is_told_which_field_and_why(raw: bytes, field: str | None, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


@pytest.mark.parametrize(
    "raw",
    [
        said({"role": "sk-secret", "content": "x"}),
        part("sk-secret"),
        picture("sk-secret://x"),
        tool(name="sk-secret x"),
        body(tool_choice="sk-secret"),
        said({**RESULT, "tool_call_id": "sk-secret"}),
        body(**{"sk-secret": float("nan")}),
        body(service_tier="sk-secret"),
    ],
)
def test_nothing_that_was_sent_is_told_back(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode(raw)
    assert "sk-secret" not in str(caught.value)
