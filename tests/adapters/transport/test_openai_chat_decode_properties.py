"""Any bytes are a request or an ``InvalidRequestError``; a plain model says which of the two."""

import json
import re
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from chatnest.adapters.transport.openai_chat import OpenAIChatDialect
from chatnest.adapters.transport.openai_chat_request import decode_chat_completion
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.requests import ChatRequest

Json = dict[str, Any]

# Few values, so that a body is right, or wrong in one place, about as often as not.
ODD: st.SearchStrategy[object] = st.sampled_from([None, True, 0, 1.5, "", [], {}])
TEXTS = st.sampled_from(["Hi", "Hi", "Hi", " ", "", "\u2028x"])
NAMES = st.sampled_from(["add", "add", "add", "look_up", "x" * 64, "a b", "x" * 65])
IDS = st.sampled_from(["a", "b"])
CALLS = st.fixed_dictionaries(
    {
        "id": IDS,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": NAMES, "arguments": TEXTS}),
    }
)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": TEXTS}),
    st.fixed_dictionaries(
        {"role": st.just("assistant")},
        optional={"content": TEXTS | st.none(), "tool_calls": st.lists(CALLS, max_size=2)},
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXTS, "tool_call_id": IDS}),
)
Steps = st.SearchStrategy[list[Json]]


def exchange(call_id: str) -> list[Json]:
    call = {"id": call_id, "function": {"name": "add", "arguments": "{}"}}
    return [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": call_id},
    ]


def remark(role: str) -> list[Json]:
    return [{"role": role, "content": "Hi"}]


EXCHANGES: Steps = IDS.map(exchange)
SAID: Steps = st.sampled_from(["user", "assistant", "system"]).map(remark)
ANY_STEP: Steps = MESSAGES.map(lambda message: [message])


def conversations(steps: Steps) -> Steps:
    """A question, and what followed it."""
    hello = {"role": "user", "content": "Hi"}
    return st.lists(steps, max_size=3).map(lambda parts: sum(parts, [hello]))


GOOD_CAPS = st.sampled_from([None, 1, 5, 2**53 - 1])
GOOD_STOPS = st.sampled_from([None, "x", [], ["x"], ["x"] * 4])
GOOD: Json = {
    "model": st.sampled_from([None, "m", "x" * 256]),
    "max_tokens": GOOD_CAPS,
    "max_completion_tokens": GOOD_CAPS,
    "n": st.sampled_from([None, 1]),
    "stop": GOOD_STOPS,
    "seed": ODD,
    "audio": st.none(),
}
CAPS = st.sampled_from([2**53, 0, 1.5, "1"]) | GOOD_CAPS
ANY: Json = GOOD | {
    "model": st.sampled_from(["", "x" * 257, "m"]) | ODD,
    "max_tokens": CAPS,
    "max_completion_tokens": CAPS,
    "n": st.sampled_from([1, 2]),
    "stop": st.sampled_from([["x"] * 5, [""], ""]) | GOOD_STOPS,
    "audio": st.sampled_from([None, {}]),
}
GOOD_BODIES: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"messages": conversations(SAID | EXCHANGES)}, optional=GOOD
)
BODIES: st.SearchStrategy[Json] = st.one_of(
    GOOD_BODIES,
    st.fixed_dictionaries({"messages": conversations(ANY_STEP | EXCHANGES)}, optional=GOOD),
    st.fixed_dictionaries({"messages": conversations(SAID | EXCHANGES)}, optional=ANY),
    st.fixed_dictionaries({"messages": ODD}),
)


def outcome(raw: bytes) -> ChatRequest | InvalidRequestError:
    try:
        return decode_chat_completion(raw)[0]
    except InvalidRequestError as error:
        return error


def is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", value) is not None


def is_answer(message: Json) -> bool:
    calls = message.get("tool_calls") or []
    return (message.get("content") is not None or bool(calls)) and all(
        is_name(call["function"]["name"]) for call in calls
    )


def exchanges_match(messages: list[Json]) -> bool:
    """That the tool messages right behind each message answer its calls, one for one."""
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            continue
        answered: list[str] = []
        for later in messages[index + 1 :]:
            if later["role"] != "tool":
                break
            answered.append(later["tool_call_id"])
        asked = [call["id"] for call in message.get("tool_calls") or ()]
        if sorted(asked) != sorted(answered) or len(set(asked)) != len(asked):
            return False
    return True


def is_cap(value: object) -> bool:
    return value is None or (type(value) is int and 1 <= value < 2**53)


def is_stop(value: object) -> bool:
    stops = [value] if isinstance(value, str) else value
    return value is None or (isinstance(stops, list) and len(stops) <= 4 and "" not in stops)


def is_request(body: Json) -> bool:
    """What the dialect promises to take, as a reader of OpenAI's reference understands it."""
    messages, model = body["messages"], body.get("model")
    if not isinstance(messages, list) or not messages:
        return False
    asked = [message["content"] for message in messages if message["role"] == "user"]
    return (
        bool(asked[-1].strip())
        and all(is_answer(message) for message in messages if message["role"] == "assistant")
        and exchanges_match(messages)
        and (model is None or (isinstance(model, str) and 1 <= len(model) <= 256))
        and is_cap(body.get("max_tokens"))
        and is_cap(body.get("max_completion_tokens"))
        and body.get("n") in (None, 1)
        and is_stop(body.get("stop"))
        and body.get("audio") is None
    )


@given(BODIES)
def test_exactly_the_bodies_that_the_model_takes_are_taken(body: Json) -> None:
    expected = is_request(body)
    event(f"taken: {expected}")
    assert isinstance(outcome(json.dumps(body).encode()), ChatRequest) is expected


@given(GOOD_BODIES)
def test_a_taken_body_loses_nothing(body: Json) -> None:
    request = outcome(json.dumps(body, ensure_ascii=False).encode())
    assert isinstance(request, ChatRequest)
    assert [
        (
            str(message.role),
            message.content,
            [(call.id, call.name, call.arguments) for call in message.tool_calls],
            message.tool_call_id,
        )
        for message in request.messages
    ] == [
        (
            message["role"],
            message.get("content") or "",
            [
                (call["id"], call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls") or ()
            ],
            message.get("tool_call_id"),
        )
        for message in body["messages"]
    ]
    caps = [body.get(name) for name in ("max_tokens", "max_completion_tokens")]
    given_caps = [cap for cap in caps if cap is not None]
    assert request.wishes.max_output_tokens == (min(given_caps) if given_caps else None)
    assert request.model == body.get("model")
    stop = body.get("stop") or []
    assert list(request.stop) == ([stop] if isinstance(stop, str) else stop)
    seed = body.get("seed")
    assert dict(request.extra) == ({} if seed is None else {"seed": seed})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "role", "content", "tools", "type", "x", "\ud800"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_a_request_or_a_refusal_that_can_be_shown(value: object) -> None:
    answer = outcome(json.dumps(value).encode())
    if isinstance(answer, InvalidRequestError):
        assert OpenAIChatDialect().error(answer).status == 400
        assert answer.reason


@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    assert isinstance(outcome(raw), ChatRequest | InvalidRequestError)


WHOLE = (
    b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"H\\u00e9"}]},'
    b'{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":'
    b'{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"1"}],'
    b'"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],'
    b'"tool_choice":"auto","max_tokens":12,"seed":1.5e3}'
)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=3), st.integers(0, 4))
def test_a_damaged_body_is_a_request_or_a_refusal(at: int, put: bytes, cut: int) -> None:
    assert isinstance(outcome(WHOLE), ChatRequest)
    damaged = WHOLE[:at] + put + WHOLE[at + cut :]
    assert isinstance(outcome(damaged), ChatRequest | InvalidRequestError)
