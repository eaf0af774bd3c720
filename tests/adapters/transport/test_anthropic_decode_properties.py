"""Any bytes are a request or an ``InvalidRequestError``; and a taken body loses nothing."""

import json
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from chatnest.adapters.transport.anthropic_count import CountedPrompt, decode_count
from chatnest.adapters.transport.anthropic_messages import AnthropicDialect
from chatnest.adapters.transport.anthropic_request import decode_messages
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart
from chatnest.domain.requests import ChatRequest

Json = dict[str, Any]

TEXTS = st.sampled_from(["Hi", " ", "é\u2028", "\U0001f600"])
TEXT_BLOCKS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
IMAGES = st.sampled_from(
    [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "aaa="},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}},
    ]
)
THOUGHTS = st.sampled_from(
    [
        {"type": "thinking", "thinking": "Hm", "signature": "c2VhbA=="},
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "redacted_thinking", "data": "x"},
    ]
)
INPUTS = st.dictionaries(TEXTS, st.none() | st.integers() | st.lists(TEXTS, max_size=2), max_size=2)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Json]:
    """An assistant's message, perhaps with calls, and a user's that has their results first."""
    before = draw(st.lists(THOUGHTS | TEXT_BLOCKS, max_size=3))
    ids = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3))
    calls = [{"type": "tool_use", "id": each, "name": "add", "input": draw(INPUTS)} for each in ids]
    results = [draw(results_of(each)) for each in draw(st.permutations(ids))]
    after = draw(st.lists(TEXT_BLOCKS | IMAGES, min_size=0 if ids else 1, max_size=2))
    return [
        {"role": "assistant", "content": [*before, *calls]},
        {"role": "user", "content": [*results, *after]},
    ]


@st.composite
def results_of(draw: st.DrawFn, call_id: str) -> Json:
    """What a tool gave back."""
    content = draw(TEXTS | st.lists(TEXT_BLOCKS | IMAGES, max_size=2))
    is_error: Json = draw(st.sampled_from([{}, {"is_error": True}, {"is_error": None}]))
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **is_error}


@st.composite
def bodies(draw: st.DrawFn) -> Json:
    """A body that the wire allows; the user asks something last."""
    turns = draw(st.lists(exchanges(), max_size=3))
    asked = draw(st.sampled_from(["Hi", [{"type": "text", "text": "Hi"}]]))
    opening, closing = {"role": "user", "content": draw(TEXTS)}, {"role": "user", "content": asked}
    optional: Json = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "system": TEXTS | st.lists(TEXT_BLOCKS, max_size=2),
                "temperature": st.sampled_from([0, 0.5, 1]),
                "top_p": st.sampled_from([0, 0.5, 1]),
                "stop_sequences": st.lists(TEXTS, max_size=2),
                "top_k": st.integers(0, 9),
                "thinking": st.just({"type": "adaptive"}),
                "stream": st.booleans(),
                "tools": st.just([{"name": "add", "input_schema": {"type": "object"}}]),
            },
        )
    )
    messages = [opening, *[message for turn in turns for message in turn], closing]
    return {"model": "m", "max_tokens": draw(st.integers(1, 9)), "messages": messages, **optional}


def outcome(raw: bytes) -> ChatRequest | InvalidRequestError:
    try:
        return decode_messages(raw)[0]
    except InvalidRequestError as error:
        return error


def as_blocks(messages: tuple[Message, ...]) -> list[Json]:
    """The wire's messages again, written from the domain's without any of the product's code."""
    wire: list[Json] = []
    for message in messages:
        blocks = [_block(part) for part in message.parts or _text(message)]
        match message.role:
            case Role.TOOL:
                result = {"type": "tool_result", "tool_use_id": message.tool_call_id}
                wire.append(
                    {
                        "role": "user",
                        "content": [{**result, "content": blocks, "is_error": message.is_error}],
                    }
                )
            case role:
                calls = [
                    {
                        "type": "tool_use",
                        "id": call.id,
                        "name": call.name,
                        "input": json.loads(call.arguments),
                    }
                    for call in message.tool_calls
                ]
                wire.append({"role": str(role), "content": [*blocks, *calls]})
    return wire


def _text(message: Message) -> tuple[TextPart, ...]:
    return (TextPart(message.content),) if message.content else ()


def _block(part: TextPart | ImagePart | ReasoningPart) -> Json:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text}
        case ImagePart(url=url) if url.startswith("data:"):
            media_type, _, data = url.removeprefix("data:").partition(";base64,")
            source = {"type": "base64", "media_type": media_type, "data": data}
            return {"type": "image", "source": source}
        case ImagePart(url=url):
            return {"type": "image", "source": {"type": "url", "url": url}}
        case ReasoningPart(redacted=True, signature=data):
            return {"type": "redacted_thinking", "data": data}
        case ReasoningPart(text=thinking, signature=signature):
            return {"type": "thinking", "thinking": thinking, "signature": signature or ""}


def normal(messages: list[Json]) -> list[Json]:
    """*messages* with every content as blocks, and each result in a message of its own."""
    wire: list[Json] = []
    for message in messages:
        blocks = _as_list(message["content"])
        said = [block for block in blocks if block["type"] != "tool_result"]
        for block in blocks:
            if block["type"] == "tool_result":
                is_error = block.get("is_error") is True
                content = _as_list(block["content"])
                whole = {**block, "content": content, "is_error": is_error}
                wire.append({"role": "user", "content": [whole]})
        if said or len(blocks) == 0:
            wire.append({**message, "content": said})
    return wire


def _as_list(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@given(bodies())
def test_a_taken_body_loses_nothing(body: Json) -> None:
    request, streams = decode_messages(json.dumps(body, ensure_ascii=False).encode())
    system = _as_list(body.get("system", []))
    front = [{"role": "system", "content": system}] if system else []
    assert as_blocks(request.messages) == [*front, *normal(body["messages"])]
    assert (request.model, request.wishes.max_output_tokens) == ("m", body["max_tokens"])
    assert streams is body.get("stream", False)
    assert request.wishes.temperature == body.get("temperature")
    assert request.top_p == body.get("top_p")
    assert list(request.stop) == body.get("stop_sequences", [])
    assert request.extra == {name: body[name] for name in ("top_k", "thinking") if name in body}
    assert [tool.name for tool in request.tools] == [tool["name"] for tool in body.get("tools", [])]


@given(bodies())
def test_what_is_counted_is_what_would_be_asked(body: Json) -> None:
    raw = json.dumps(body).encode()
    request, _ = decode_messages(raw)
    expected = CountedPrompt("m", request.messages, request.tools)
    assert decode_count(raw) == expected
    del body["max_tokens"]
    assert decode_count(json.dumps(body).encode()) == expected


ODD: st.SearchStrategy[object] = st.sampled_from([None, True, 0, 1.5, "", "\0", [], {}, "a", "b"])


@given(st.data(), bodies())
def test_a_body_that_is_odd_in_one_place_is_a_request_or_a_refusal(
    data: st.DataObject, body: Json
) -> None:
    places = list(_places(body))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(ODD)
    answer = outcome(json.dumps(body).encode())
    event(f"taken: {isinstance(answer, ChatRequest)}")
    if isinstance(answer, InvalidRequestError):
        assert AnthropicDialect().error(answer).status == 400
        assert answer.reason


def _places(value: object) -> list[tuple[Any, Any]]:
    """Every place in *value* where something else could stand: what holds it, and its key."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        for key in keys:
            found += [(value, key), *_places(value[key])]
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "role", "content", "type", "model", "x", "\ud800"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_a_request_or_a_refusal(value: object) -> None:
    assert isinstance(outcome(json.dumps(value).encode()), ChatRequest | InvalidRequestError)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    assert isinstance(outcome(raw), ChatRequest | InvalidRequestError)


@given(bodies(), st.integers(0, 2_000), st.binary(max_size=3), st.integers(0, 4))
def test_a_damaged_body_is_a_request_or_a_refusal(
    body: Json, at: int, put: bytes, cut: int
) -> None:
    whole = json.dumps(body).encode()
    at %= len(whole)
    damaged = whole[:at] + put + whole[at + cut :]
    assert isinstance(outcome(damaged), ChatRequest | InvalidRequestError)
