"""Bodies of ``POST /v1/messages``: what they mean, and what is said of those that mean nothing."""

import json
from bisect import bisect_left
from typing import Any

import pytest

from chatnest.adapters.transport.anthropic_messages import AnthropicDialect
from chatnest.adapters.transport.anthropic_request import decode_messages
from chatnest.adapters.transport.anthropic_stream import AnthropicEncoder
from chatnest.adapters.transport.anthropic_whole import AnthropicReply
from chatnest.domain.errors import InvalidRequestError
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

HELLO = {"role": "user", "content": "Hello"}
CALL = {"type": "tool_use", "id": "call-1", "name": "add", "input": {"a": 1.50, "b": [None]}}
RESULT = {"type": "tool_result", "tool_use_id": "call-1", "content": "3"}
CALLED = {"role": "assistant", "content": [CALL]}
ADD = {"name": "add", "input_schema": {"type": "object"}}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
LARGEST = 2**53 - 1


def body(**fields: object) -> bytes:
    whole = {"model": "model-1", "max_tokens": 64, "messages": [HELLO], **fields}
    return json.dumps(whole).encode()


def said(*content: object, role: str = "user") -> bytes:
    return body(messages=[{"role": role, "content": list(content)}])


def after_call(*messages: object) -> bytes:
    return body(messages=[HELLO, CALLED, *messages])


def decode(raw: bytes) -> ChatRequest:
    return decode_messages(raw)[0]


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode(raw)
    return caught.value.field, caught.value.reason


def test_the_least_request_is_a_question_and_a_cap() -> None:
    assert decode(body()) == ChatRequest(
        messages=(Message(Role.USER, "Hello"),),
        model="model-1",
        wishes=Wishes(max_output_tokens=64),
    )


def test_every_wish_of_a_client_is_understood() -> None:
    raw = body(
        system="Be brief.",
        temperature=1,
        top_p=0.5,
        stop_sequences=["END", "\n\n"],
        metadata={"user_id": "u-1", "else": 1},
        tools=[{**ADD, "type": "custom", "description": "Adds.", "strict": True}],
        tool_choice={"type": "tool", "name": "add", "disable_parallel_tool_use": True},
    )
    assert decode(raw) == ChatRequest(
        messages=(Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hello")),
        model="model-1",
        wishes=Wishes(max_output_tokens=64, temperature=1.0),
        stop=("END", "\n\n"),
        tools=(Tool("add", "Adds.", '{"type":"object"}', strict=True),),
        tool_choice=ToolChoice(ToolMode.REQUIRED, "add", parallel=False),
        top_p=0.5,
        end_user="u-1",
    )


def test_what_only_this_wire_has_is_passed_on_as_it_came() -> None:
    extra = {
        "thinking": {"type": "enabled", "budget_tokens": 1_024},
        "top_k": 10**30,
        "output_config": {"effort": "low"},
        "something_new": [{"a": 1.5}, "é\u2028"],
    }
    request = decode(body(**extra, gone=None))
    assert (request.extra, request.extra_wire) == (extra, "anthropic")
    assert (decode(body()).extra, decode(body()).extra_wire) == ({}, None)


def test_hints_are_taken_and_dropped() -> None:
    hint = {"type": "ephemeral", "ttl": "1h"}
    clearing = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    raw = body(
        system=[{"type": "text", "text": "Be brief.", "cache_control": hint}],
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hello", "cache_control": hint}],
            }
        ],
        tools=[{**ADD, "cache_control": hint, "eager_input_streaming": True}],
        cache_control=hint,
        context_management=clearing,
        diagnostics={"previous_message_id": None},
    )
    plain = body(system="Be brief.", tools=[ADD])
    assert decode(raw) == decode(plain)


def test_null_is_the_same_as_nothing() -> None:
    names = ["system", "tools", "tool_choice", "stream", "temperature", "top_p", "metadata"]
    names += ["stop_sequences", "thinking", "service_tier", "container", "mcp_servers", "speed"]
    names += ["context_management", "cache_control", "diagnostics", "inference_geo", "fallbacks"]
    assert decode(body(**dict.fromkeys(names))) == decode(body())
    assert decode(body(system="", tools=[], tool_choice={"type": "auto"})) == decode(body())


def test_blocks_keep_their_order_and_what_is_one_text_is_plain() -> None:
    assert decode(said({"type": "text", "text": "Hello"})) == decode(body())
    raw = said(
        {"type": "text", "text": "What"},
        {"type": "image", "source": PIXEL},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "text", "text": "is it?"},
    )
    (message,) = decode(raw).messages
    assert message == Message.of_parts(
        Role.USER,
        [
            TextPart("What"),
            ImagePart("data:image/png;base64,iVBORw0KGgo="),
            ImagePart("https://example.com/a.png"),
            TextPart("is it?"),
        ],
    )


def test_system_blocks_are_one_message_at_the_front() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    later = {"role": "system", "content": blocks[:1]}
    request = decode(body(system=blocks, messages=[HELLO, later, HELLO]))
    assert request.messages == (
        Message.of_parts(Role.SYSTEM, [TextPart("a"), TextPart("b")]),
        Message(Role.USER, "Hello"),
        Message(Role.SYSTEM, "a"),
        Message(Role.USER, "Hello"),
    )


def test_an_exchange_with_a_tool_is_call_result_and_what_follows() -> None:
    thought = {"type": "thinking", "thinking": "Hm", "signature": "c2VhbA=="}
    other = {**CALL, "id": "call-2", "input": {}}
    failed = {"type": "tool_result", "tool_use_id": "call-2", "is_error": True}
    seen = [{"type": "text", "text": "3"}, {"type": "image", "source": PIXEL}]
    raw = body(
        messages=[
            HELLO,
            {
                "role": "assistant",
                "content": [
                    thought,
                    {"type": "redacted_thinking", "data": "x"},
                    {"type": "text", "text": "Let me see."},
                    CALL,
                    other,
                ],
            },
            {"role": "user", "content": [failed]},
            {
                "role": "user",
                "content": [{**RESULT, "content": seen}, {"type": "text", "text": "So?"}],
            },
        ]
    )
    picture = ImagePart("data:image/png;base64,iVBORw0KGgo=")
    assert decode(raw).messages == (
        Message(Role.USER, "Hello"),
        Message.of_parts(
            Role.ASSISTANT,
            [
                ReasoningPart("Hm", "c2VhbA=="),
                ReasoningPart(signature="x", redacted=True),
                TextPart("Let me see."),
            ],
            tool_calls=(
                ToolCall("call-1", "add", '{"a":1.5,"b":[null]}'),
                ToolCall("call-2", "add", "{}"),
            ),
        ),
        Message(Role.TOOL, "", tool_call_id="call-2", is_error=True),
        Message.of_parts(Role.TOOL, [TextPart("3"), picture], tool_call_id="call-1"),
        Message(Role.USER, "So?"),
    )


def test_a_message_that_is_results_alone_adds_nothing_of_the_user() -> None:
    assert decode(after_call({"role": "user", "content": [RESULT]})).messages[2:] == (
        Message(Role.TOOL, "3", tool_call_id="call-1"),
    )


def test_texts_behind_a_call_stand_before_it() -> None:
    late = {"role": "assistant", "content": [CALL, {"type": "text", "text": "Wait."}]}
    raw = body(messages=[HELLO, late, {"role": "user", "content": [RESULT]}])
    assert decode(raw).messages[1].content == "Wait."
    assert [call.id for call in decode(raw).messages[1].tool_calls] == ["call-1"]


def test_an_answer_of_ours_is_taken_back_as_it_came() -> None:
    unsigned = {"type": "thinking", "thinking": "Hm", "signature": ""}
    extra = {"type": "text", "text": "a", "citations": None, "parsed_output": None}
    raw = body(messages=[HELLO, {"role": "assistant", "content": [unsigned, extra]}, HELLO])
    assert decode(raw).messages[1].parts == (ReasoningPart("Hm", None), TextPart("a"))


def test_an_answer_can_be_begun_for_the_model() -> None:
    begun = {"role": "assistant", "content": "The best answer is ("}
    assert decode(body(messages=[HELLO, begun])).messages[-1].role is Role.ASSISTANT


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(parallel=True)),
        ({"type": "any"}, ToolChoice(ToolMode.REQUIRED)),
        ({"type": "none"}, ToolChoice(ToolMode.NONE)),
        ({"type": "tool", "name": "add"}, ToolChoice(ToolMode.REQUIRED, "add")),
        (None, None),
    ],
)
def test_a_choice_of_tools_is_understood(choice: object, expected: ToolChoice | None) -> None:
    assert decode(body(tools=[ADD], tool_choice=choice)).tool_choice == expected


@pytest.mark.parametrize(
    ("stream", "reply"),
    [(True, AnthropicEncoder), (False, AnthropicReply), (None, AnthropicReply)],
)
def test_an_answer_is_streamed_where_that_is_asked_for(stream: object, reply: type) -> None:
    asked = AnthropicDialect().decode(body(stream=stream))
    assert type(asked.reply) is reply
    assert asked.request == decode(body())


NOT_TAKEN = ["service_tier", "container", "mcp_servers", "speed", "inference_geo", "fallbacks"]
NOT_TAKEN += ["compaction", "thread", "billing_policy", "fallback_credit_token"]


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_nothing_is_held_for_is_refused(name: str) -> None:
    values: list[object] = ["auto", {}, [], 1, False]
    for value in values:
        field, reason = flaw(body(**{name: value}))
        assert field == name
        assert "is not taken by this server" in reason


TEXT: dict[str, Any] = {"type": "text", "text": "Hi"}
IMAGE: dict[str, Any] = {"type": "image"}


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", None, "the body is empty"),
        (b"hello", None, "not valid JSON"),
        (body() + b"}", None, "not valid JSON"),
        (b"[]", None, 'must be a JSON object with "model", "max_tokens" and "messages"'),
        (b"{}", "model", "is missing; it must be the name of a model"),
        (b'{"model":"m","messages":[]}', "messages", "must be a list of 1 to"),
        (body(messages=None), "messages", "must be a list"),
        (body(model=""), "model", "a text of 1 to 256 characters"),
        (body(model="x" * 257), "model", "a text of 1 to 256 characters"),
        (body(model="a\0"), "model", "NUL"),
        (body(messages=[[]]), "messages[0]", "must be an object"),
        (body(messages=[{"content": "x"}]), "messages[0].role", "is missing"),
        (body(messages=[{"role": "user"}]), "messages[0].content", "is missing"),
        (body(messages=[{"role": "tool", "content": ""}]), "messages[0].role", 'must be "user"'),
        (body(messages=[{"role": 1, "content": ""}]), "messages[0].role", 'must be "user"'),
        (body(messages=[{**HELLO, "content": 7}]), "messages[0].content", "must be a text, or"),
        (said("Hi"), "messages[0].content[0]", 'must be an object with "type"'),
        (said({"text": "x"}), "messages[0].content[0].type", "is missing; it must be a block"),
        (said({"type": "text"}), "messages[0].content[0].text", "is missing"),
        (said({"type": "text", "text": ""}), "messages[0].content[0].text", "is not empty"),
        (said({**TEXT, "text": "a\0"}), "messages[0].content[0].text", "NUL"),
        (said({**TEXT, "text": "\ud800"}), "messages[0].content[0].text", "surrogate"),
        (said({"type": "document"}), "messages[0].content[0].type", "that this server takes"),
        (said({"type": "search_result"}), "messages[0].content[0].type", "this server takes"),
        (said({"type": "server_tool_use"}), "messages[0].content[0].type", "this server takes"),
        (said(CALL), "messages[0].content[0].type", "this server takes"),
        (said(IMAGE), "messages[0].content[0].source", "is missing"),
        (said(RESULT, role="assistant"), "messages[0].content[0].type", "this server takes"),
        (said(TEXT, role="assistant"), "messages", 'a message with the role "user"'),
        (said(TEXT, role="system"), "messages", 'a message with the role "user"'),
        (said(IMAGE, role="system"), "messages[0].content[0].type", "this server takes"),
        (said({**TEXT, "text": " \n"}), "messages[0].content", "is blank"),
        (said(), "messages[0].content", "is blank"),
        (body(messages=[HELLO, {"role": "user", "content": " "}]), "messages[1].content", "blank"),
        (body(system=7), "system", "must be a text, or a list of text blocks"),
        (body(system=[IMAGE]), "system[0].type", 'must be "text"'),
        (body(system=[{**TEXT, "text": ""}]), "system[0].text", "is not empty"),
        (body(system="\0"), "system", "NUL"),
        (body(max_tokens=None), "max_tokens", "must be a whole number from 1"),
        (body(temperature=1.1), "temperature", "must be a number from 0 to 1"),
        (body(temperature=-0.1), "temperature", "must be a number from 0 to 1"),
        (body(temperature=float("nan")), "temperature", "not a number that JSON has"),
        (body(top_p="1"), "top_p", "must be a number from 0 to 1"),
        (body(stream=1), "stream", "must be true or false"),
        (body(stop_sequences="END"), "stop_sequences", "must be a list of texts"),
        (body(stop_sequences=[""]), "stop_sequences[0]", "is not empty"),
        (body(metadata={"user_id": 7}), "metadata.user_id", "must be a text"),
        (body(tools={}), "tools", "must be a list of tools"),
        (body(tools=[{"name": "add"}]), "tools[0].input_schema", "is missing"),
        (body(tools=[{**ADD, "input_schema": []}]), "tools[0].input_schema", "an object"),
        (body(tools=[{**ADD, "name": ""}]), "tools[0].name", "1 to 256 characters"),
        (body(tools=[{**ADD, "description": "\0"}]), "tools[0].description", "NUL"),
        (body(tools=[{"type": "web_search_20250305"}]), "tools[0].type", 'must be "custom"'),
        (body(tools=[ADD, ADD]), "tools[1].name", "is the name of another tool"),
        (body(tools=[{**ADD, "defer_loading": True}]), "tools[0].defer_loading", "must be false"),
        (body(tools=[{**ADD, "input_examples": []}]), "tools[0].input_examples", "not taken"),
        (body(tool_choice={"type": "some"}), "tool_choice.type", 'must be "auto"'),
        (body(tool_choice={"type": "any"}), "tool_choice", "needs tools to choose from"),
        (
            body(tools=[ADD], tool_choice={"type": "tool", "name": "sub"}),
            "tool_choice.name",
            "must be the name of a tool",
        ),
        (
            body(context_management={"edits": [{"type": "compact_20260112"}]}),
            "context_management.edits[0].type",
            'must begin with "clear_"',
        ),
        (body(thinking={"a": "\ud800"}), "thinking.a", "surrogate"),
        (body(thinking={"a\0": 1}), "thinking", "NUL"),
        (body(thinking=float("inf")), "thinking", "not a number that JSON has"),
        (body(x=0)[:-2] + b"1e999}", "x", "not a number that JSON has"),
        (body(x=0)[:-2] + b"9" * 5_000 + b"}", None, "too many digits"),
        (body()[:-1] + b',"model":"m"}', "model", "is given twice"),
        (b'{"a":' * 100_000, None, "nested too deeply"),
        (body(x=0)[:-2] + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "nested too deeply"),
    ],
)
def test_a_bad_body_is_told_which_field_and_why(raw: bytes, field: str | None, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


@pytest.mark.parametrize(
    ("source", "field", "reason"),
    [
        ({"type": "file", "file_id": "f"}, "type", 'must be "base64" or "url"'),
        ({**PIXEL, "media_type": "image/bmp"}, "media_type", 'must be "image/jpeg"'),
        ({**PIXEL, "data": ""}, "data", "must be a picture in base64"),
        ({**PIXEL, "data": "===="}, "data", "must be a picture in base64"),
        ({**PIXEL, "data": "iVBORw0KGg="}, "data", "must be a picture in base64"),
        ({**PIXEL, "data": "iV=ORw0KGgoA"}, "data", "must be a picture in base64"),
        ({**PIXEL, "data": "iVBO\nRw0KGgo"}, "data", "must be a picture in base64"),
        ({**PIXEL, "data": "é2345678"[:8]}, "data", "must be a picture in base64"),
        ({"type": "url", "url": "http://example.com/"}, "url", "must be an https: address"),
        ({"type": "url", "url": "data:image/png;base64,aaaa"}, "url", "must be an https: address"),
        ({"type": "url"}, "url", "is missing; it must be an https: address"),
    ],
)
def test_a_picture_is_in_the_body_or_at_an_address(source: object, field: str, reason: str) -> None:
    image = {"type": "image", "source": source}
    told, why = flaw(said(image))
    assert told == f"messages[0].content[0].source.{field}"
    assert reason in why
    told, why = flaw(after_call({"role": "user", "content": [{**RESULT, "content": [image]}]}))
    assert told == f"messages[2].content[0].content[0].source.{field}"
    assert reason in why


MUST_ANSWER = 'must begin with a "tool_result" for each "tool_use" in the message before'
NO_CALL = "must be the id of a call in the message before, which has no other result"


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (after_call(), "messages", 'must go on with a "tool_result" for each "tool_use"'),
        (after_call(HELLO), "messages[2].content", MUST_ANSWER),
        (after_call({"role": "assistant", "content": "a"}), "messages[2].content", MUST_ANSWER),
        (after_call({"role": "system", "content": "a"}), "messages[2].content", MUST_ANSWER),
        (
            after_call({"role": "user", "content": [TEXT, RESULT]}),
            "messages[2].content[1]",
            "must stand before what the user says",
        ),
        (
            after_call({"role": "user", "content": [RESULT, RESULT]}),
            "messages[2].content[1].tool_use_id",
            NO_CALL,
        ),
        (
            after_call({"role": "user", "content": [{**RESULT, "tool_use_id": "x"}]}),
            "messages[2].content[0].tool_use_id",
            NO_CALL,
        ),
        (
            after_call(*[{"role": "user", "content": [RESULT]}] * 2),
            "messages[3].content[0].tool_use_id",
            NO_CALL,
        ),
        (said(RESULT), "messages[0].content[0].tool_use_id", NO_CALL),
        (
            body(messages=[HELLO, {"role": "assistant", "content": [CALL, CALL]}]),
            "messages[1].content[1].id",
            "is the id of another call in this message",
        ),
        (
            body(messages=[HELLO, {"role": "assistant", "content": [{**CALL, "input": []}]}]),
            "messages[1].content[0].input",
            "must be an object",
        ),
        (
            after_call(
                {"role": "user", "content": [{**RESULT, "content": [{"type": "document"}]}]}
            ),
            "messages[2].content[0].content[0].type",
            'must be "text" or "image"',
        ),
    ],
)
def test_each_call_has_a_result_and_each_result_a_call(raw: bytes, field: str, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 10**400, 1.5, "5", True, [], {}])
def test_the_cap_is_a_whole_number_in_range(value: object) -> None:
    assert flaw(body(max_tokens=value)) == (
        "max_tokens",
        f"must be a whole number from 1 to {LARGEST}",
    )


HERE = {"here": 0}


@pytest.mark.parametrize(
    "raw",
    [
        body(thinking=HERE),
        body(cache_control=HERE),
        body(tools=[{**ADD, "input_schema": HERE}]),
        body(
            messages=[
                HELLO,
                {"role": "assistant", "content": [{**CALL, "input": HERE}]},
                {"role": "user", "content": [RESULT]},
            ]
        ),
    ],
)
def test_at_every_depth_a_body_is_a_request_or_refused(raw: bytes) -> None:
    def is_refused(depth: int) -> bool:
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        try:
            decode(raw.replace(b'{"here": 0}', deep))
        except InvalidRequestError:
            return True
        return False

    first_refused = bisect_left(range(100_000), True, key=is_refused)
    assert 16 < first_refused < 100_000
    # How deep is too deep depends a little on who calls; that nothing else is raised does not.
    answers = [is_refused(depth) for depth in range(first_refused - 10, first_refused + 10)]
    assert (answers[0], answers[-1]) == (False, True)


@pytest.mark.parametrize(
    "raw",
    [
        said({"type": "sk-secret"}),
        body(messages=[{"role": "sk-secret", "content": ""}]),
        body(service_tier="sk-secret"),
        body(tools=[{**ADD, "type": "sk-secret"}]),
        body(tools=[{**ADD, "name": "sk-secret"}] * 2),
        said({"type": "image", "source": {"type": "url", "url": "http://sk-secret"}}),
        after_call({"role": "user", "content": [{**RESULT, "tool_use_id": "sk-secret"}]}),
        body(context_management={"edits": [{"type": "sk-secret"}]}),
        body(**{"sk-secret": float("nan")}),
    ],
)
def test_nothing_that_was_sent_is_told_back(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode(raw)
    assert "sk-secret" not in str(caught.value)
