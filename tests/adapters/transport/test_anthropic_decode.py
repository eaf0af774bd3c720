"""Bodies of ``POST /v1/messages``, and what they mean."""

import pytest

from chatnest.adapters.transport.anthropic_messages import AnthropicDialect
from chatnest.adapters.transport.anthropic_stream import AnthropicEncoder
from chatnest.adapters.transport.anthropic_whole import AnthropicReply
from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool, ToolChoice, ToolMode
from tests.adapters.transport.anthropic_bodies import (
    ADD,
    CALL,
    HELLO,
    PIXEL,
    RESULT,
    after_call,
    body,
    decode,
    said,
)


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
