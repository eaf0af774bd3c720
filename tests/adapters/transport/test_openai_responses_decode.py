"""Bodies of ``POST /v1/responses``: what they mean, and what is said of those refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport import Encoder
from chatnest.adapters.transport.openai_responses import OpenAIResponsesDialect
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

Json = dict[str, Any]
DIALECT = OpenAIResponsesDialect()
HELLO: Json = {"role": "user", "content": "Hello"}
CALL: Json = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{"}
RESULT: Json = {"type": "function_call_output", "call_id": "c1", "output": "42"}
ADD: Json = {"type": "function", "name": "add", "parameters": None, "strict": None}


def body(**fields: object) -> bytes:
    return json.dumps({"model": "fast", "input": "Hello", **fields}).encode()


def items(*more: Json) -> bytes:
    return body(input=[HELLO, *more])


def answer(*parts: Json, **fields: object) -> Json:
    return {"type": "message", "role": "assistant", "content": list(parts), **fields}


def thought(content: str | None = None, seal: str | None = None, **fields: object) -> Json:
    parts = None if content is None else [{"type": "reasoning_text", "text": content}]
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": parts, **fields}
    return item | {"encrypted_content": seal}


def text(words: str) -> Json:
    return {"type": "output_text", "text": words, "annotations": []}


def decode(raw: bytes) -> ChatRequest:
    return DIALECT.decode(raw).request


def said(*more: Json) -> tuple[Message, ...]:
    """What *more* means, behind a question."""
    return decode(items(*more)).messages[1:]


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode(raw)
    return caught.value.field, caught.value.reason


def test_a_text_is_a_question() -> None:
    assert decode(body()) == ChatRequest((Message(Role.USER, "Hello"),), model="fast")


def test_every_field_that_is_understood_has_its_place() -> None:
    raw = body(
        instructions="Be kind.",
        max_output_tokens=400,
        temperature=0.5,
        top_p=1,
        stream=True,
        stream_options={"include_obfuscation": False},
        tools=[{**ADD, "description": "Adds.", "parameters": {"a": [1]}, "strict": True}],
        tool_choice={"type": "function", "name": "add"},
        parallel_tool_calls=False,
        text={
            "format": {"type": "json_schema", "name": "x", "schema": {"b": 2}, "strict": True},
            "verbosity": "low",
        },
        reasoning={"effort": "high", "summary": "auto"},
        metadata={"a": "b"},
        prompt_cache_key="key",
        user="someone",
        safety_identifier="hash",
        include=["reasoning.encrypted_content"],
        truncation="auto",
        service_tier="auto",
        top_logprobs=0,
        store=False,
        background=False,
        previous_response_id=None,
    )
    assert decode(raw) == ChatRequest(
        messages=(Message(Role.SYSTEM, "Be kind."), Message(Role.USER, "Hello")),
        model="fast",
        wishes=Wishes(max_output_tokens=400, temperature=0.5),
        extra={
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"b": 2}, "strict": True},
            },
            "verbosity": "low",
            "reasoning_effort": "high",
            "metadata": {"a": "b"},
            "prompt_cache_key": "key",
        },
        extra_wire="openai",
        tools=(Tool("add", "Adds.", '{"a": [1]}', strict=True),),
        tool_choice=ToolChoice(ToolMode.REQUIRED, "add", parallel=False),
        top_p=1.0,
        end_user="hash",
    )


@pytest.mark.parametrize(
    ("wanted", "extra"),
    [
        ({"format": {"type": "text"}}, {}),
        ({"format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"verbosity": None}, {}),
        (None, {}),
    ],
)
def test_a_form_of_the_text_is_chat_completions_own(wanted: Json | None, extra: Json) -> None:
    request = decode(body(text=wanted, metadata={}, reasoning={}, something_new=None))
    assert (request.extra, request.extra_wire) == (extra, "openai" if extra else None)


def test_roles_and_parts_are_messages() -> None:
    picture = {"type": "input_image", "image_url": "https://example.com/a", "detail": "low"}
    assert said(
        {"role": "system", "content": "Be brief."},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "This?"}, picture]},
        {"role": "assistant", "content": "Yes."},
        answer(text("a"), {"type": "refusal", "refusal": "b"}),
    ) == (
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.SYSTEM, "x"),
        Message.of_parts(Role.USER, [TextPart("This?"), ImagePart("https://example.com/a", "low")]),
        Message.of_parts(Role.ASSISTANT, [TextPart("Yes."), TextPart("a"), TextPart("b")]),
    )


def test_what_a_model_did_in_one_turn_is_one_message() -> None:
    call = ToolCall("c1", "add", "{")
    other = ToolCall("c2", "add", "{")
    assert said(
        thought("Hm", "seal"),
        answer(text("Wait.")),
        CALL,
        {**CALL, "call_id": "c2"},
        {**RESULT, "call_id": "c2", "output": [{"type": "input_text", "text": "7"}]},
        RESULT,
        CALL,
        RESULT,
        answer(text("49")),
    ) == (
        Message.of_parts(
            Role.ASSISTANT,
            [ReasoningPart("Hm", "seal"), TextPart("Wait.")],
            tool_calls=(call, other),
        ),
        Message(Role.TOOL, "7", tool_call_id="c2"),
        Message(Role.TOOL, "42", tool_call_id="c1"),
        Message(Role.ASSISTANT, "", tool_calls=(call,)),
        Message(Role.TOOL, "42", tool_call_id="c1"),
        Message(Role.ASSISTANT, "49"),
    )


@pytest.mark.parametrize(
    ("item", "parts"),
    [
        (thought("Hm"), (ReasoningPart("Hm"),)),
        (thought("Hm", "seal"), (ReasoningPart("Hm", "seal"),)),
        (thought(None, "seal"), (ReasoningPart("", "seal", redacted=True),)),
        (thought("", "seal"), (ReasoningPart("", "seal"),)),
        (thought(None, None), ()),
        (thought(None, None, summary=[{"type": "summary_text", "text": "x"}]), ()),
    ],
)
def test_a_thought_keeps_its_text_and_its_seal(
    item: Json, parts: tuple[ReasoningPart, ...]
) -> None:
    (message,) = said(item, CALL, RESULT)[:1]
    assert message.parts == parts


def test_an_answer_is_a_stream_only_for_who_asks_for_one() -> None:
    for stream, is_stream in ((True, True), (False, False), (None, False)):
        assert isinstance(DIALECT.decode(body(stream=stream)).reply, Encoder) is is_stream


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", None, "the body is empty"),
        (b"{}", "input", "is missing; it must be a text, or a list"),
        (body(input=None), "input", "must be a text, or a list"),
        (body(input=[]), "input", "must be a text, or a list of 1 to 2000"),
        (body(input=" "), "input", "is blank"),
        (body(input=[None]), "input[0]", "must be an item"),
        (items({"type": "item_reference", "id": "x"}), "input[1].type", "nothing is stored"),
        (items({"type": "web_search_call"}), "input[1].type", 'must be "message"'),
        (items({"content": "x"}), "input[1].role", "is missing"),
        (items({"role": "user"}), "input[1].content", "is missing"),
        (items({"role": "tool", "content": "x"}), "input[1].role", 'must be "user"'),
        (items({"role": "user", "content": " "}), "input[1]", "is blank"),
        (items(answer({"type": "input_file"})), "input[1].content[0].type", "files are not taken"),
        (
            items(answer({"type": "input_image", "image_url": "https://a/b"})),
            "input[1].content",
            "only a user can show",
        ),
        (
            items(answer({"type": "reasoning_text", "text": "x"})),
            "input[1].content[0]",
            'the type "reasoning"',
        ),
        (
            items({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}),
            "input[1].content[0].file_id",
            "nothing is",
        ),
        (
            items({"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}),
            "input[1].content[0].image_url",
            "https:",
        ),
        (items({**CALL, "call_id": None}), "input[1].call_id", "is missing"),
        (items({**CALL, "name": "a b"}), "input[1].name", "must be 1 to 64 letters"),
        (items({**CALL, "arguments": None}), "input[1].arguments", "is missing"),
        (items({**RESULT, "output": None}), "input[1].output", "is missing"),
        (items({**RESULT, "output": [{"type": "input_file"}]}), "input[1].output[0].type", "files"),
        (items(RESULT), "input[1]", "is the result of no call"),
        (items(CALL), "input[1]", "must be followed by the result of each"),
        (items(thought("x"), CALL, HELLO), "input[1]", "must be followed by the result of each"),
        (items(CALL, CALL, RESULT), "input[1]", "two tool calls with one id"),
        (body(input=[{"role": "system", "content": "x"}]), "input", 'the role "user"'),
        (body(model=""), "model", "must be a text of 1 to 256"),
        (body(max_output_tokens=0), "max_output_tokens", "must be a whole number from 1"),
        (body(temperature=3), "temperature", "must be a number from 0 to 2"),
        (body(tools=[{"type": "web_search"}]), "tools[0].type", "no tools of its own"),
        (body(tools=[{**ADD, "parameters": []}]), "tools[0].parameters", "JSON Schema"),
        (body(tool_choice="required"), "tool_choice", 'without "tools"'),
        (body(tool_choice={"type": "mcp"}), "tool_choice.type", "only the allowed ones"),
        (body(text={"format": {"type": "xml"}}), "text.format.type", 'must be "text"'),
        (body(text={"format": {"type": "json_schema"}}), "text.format", '"name" and "schema"'),
        (
            body(text={"format": {"type": "json_schema", "name": "x", "schema": [1]}}),
            "text.format.schema",
            "JSON Schema",
        ),
        (body(metadata={"a": 1}), "metadata[...]", "must be a text"),
        (body(include=["file_search_call.results"]), "include[0]", "nothing else can be included"),
        (body(service_tier="flex"), "service_tier", 'must be "auto"'),
        (body(top_logprobs=2), "top_logprobs", "must be 0"),
        (body(store=True), "store", "must be false"),
        (body(background=True), "background", "must be false"),
        (body(previous_response_id="resp_1"), "previous_response_id", "the whole conversation"),
        (body(conversation="conv_1"), "conversation", "the whole conversation"),
        (body(prompt={"id": "p"}), "prompt", "the whole conversation"),
        (body(something_new=1), "something_new", "is not supported here"),
        (body(**{"<b>": 1}), None, "is not supported here"),
        (body(metadata={"a": "\0"}), "metadata.a", "NUL"),
        (body()[:-1] + b',"model":"other"}', "model", "is given twice"),
        (body()[:-1] + b',"y":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "too deeply"),
    ],
)
def test_a_bad_body_is_told_which_field_and_why(raw: bytes, field: str | None, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


def outcome(raw: bytes) -> ChatRequest | InvalidRequestError:
    try:
        return decode(raw)
    except InvalidRequestError as error:
        return error


ODD: st.SearchStrategy[object] = st.sampled_from([None, True, 0, 1.5, "", "Hi", [], {}])
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"]),
        "role": st.sampled_from(["user", "assistant", "system", "developer", "tool"]),
        "content": st.sampled_from(["Hi", [text("Hi")], [{"type": "input_text", "text": ""}]])
        | ODD,
        "call_id": st.sampled_from(["a", "b"]),
        "name": st.just("add"),
        "arguments": ODD,
        "output": ODD,
        "encrypted_content": ODD,
    },
)


@given(st.lists(ITEMS, max_size=4), st.booleans())
def test_any_items_are_a_request_or_a_refusal_that_can_be_shown(
    more: list[Json], asked: bool
) -> None:
    answered = outcome(body(input=[HELLO, *more] if asked else more))
    if isinstance(answered, InvalidRequestError):
        assert DIALECT.error(answered).status == 400
        assert answered.reason


@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    assert isinstance(outcome(raw), ChatRequest | InvalidRequestError)


WHOLE = items(
    thought("Hm", "seal"),
    answer(text("\u00e9")),
    CALL,
    {**RESULT, "output": [{"type": "input_text", "text": "7"}]},
)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=3), st.integers(0, 4))
def test_a_damaged_body_is_a_request_or_a_refusal(at: int, put: bytes, cut: int) -> None:
    assert isinstance(outcome(WHOLE), ChatRequest)
    damaged = WHOLE[:at] + put + WHOLE[at + cut :]
    assert isinstance(outcome(damaged), ChatRequest | InvalidRequestError)


@given(st.lists(st.sampled_from(["user", "assistant", "thought", "exchange"]), max_size=5))
def test_a_conversation_loses_nothing(kinds: list[str]) -> None:
    sent: list[Json] = [HELLO]
    for number, kind in enumerate(kinds):
        exchange = [{**CALL, "call_id": f"c{number}"}, {**RESULT, "call_id": f"c{number}"}]
        sent += {
            "user": [{"role": "user", "content": f"q{number}"}],
            "assistant": [answer(text(f"a{number}"))],
            "thought": [thought(f"t{number}", f"s{number}")],
            "exchange": exchange,
        }[kind]
    told: list[str] = []
    for message in decode(body(input=sent)).messages[1:]:
        parts = message.parts or (TextPart(message.content),)
        told += [part.text for part in parts if not isinstance(part, ImagePart) and part.text]
        told += [call.id for call in message.tool_calls]
        told += [f"-> {message.tool_call_id}"] if message.tool_call_id else []
    expected: list[str] = []
    for number, kind in enumerate(kinds):
        if kind == "exchange":
            expected += [f"c{number}", "42", f"-> c{number}"]
        else:
            expected.append(f"{'q' if kind == 'user' else kind[0]}{number}")
    assert told == expected
