"""Any bytes are a request or an ``InvalidRequestError``; a plain model says which of the two."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import event, example, given
from hypothesis import strategies as st

from chatnest.adapters.transport import ChatNestDialect
from chatnest.adapters.transport.chatnest_body import decode_chat
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.requests import ChatRequest

Body = dict[str, Any]

# Few values, so that a body is right, or wrong in one place, about as often as not.
ODD: st.SearchStrategy[object] = st.sampled_from([None, True, 0, 1.5, "", [], {}])
CONTENTS = st.sampled_from(["Hi", "Hi", "Hi", " ", "", "a\0", "\u2028x"]) | ODD
ROLES = st.sampled_from(["user", "user", "assistant", "system", "tool", "USER"]) | ODD
LIMITS = st.sampled_from([1, 2, 2**53 - 1, 2**53, 0, -1, 1.0, "1", True, None, 10**30])
NAMES = st.sampled_from(["balanced", "x" * 100, "x" * 101, "", "a\0"]) | ODD
MODELS = st.sampled_from(["fast", "x" * 200, "x" * 201, "", "a\0"]) | ODD
MESSAGES = st.fixed_dictionaries(
    {}, optional={"id": ODD, "role": ROLES, "content": CONTENTS, "parts": ODD}
)
BODIES: st.SearchStrategy[Body] = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, min_size=1, max_size=2) | ODD},
    optional={
        "profile": NAMES,
        "aiUsageProfile": NAMES,
        "model": MODELS,
        "systemPrompt": CONTENTS,
        "dailyTokenLimit": LIMITS,
        "maxTokensPerRequest": LIMITS,
        "other": ODD,
    },
)
GOOD_MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.sampled_from(["Hi", "", " ", "\u2028x", "\U0001f600"]),
    }
)
GOOD_NAMES = st.sampled_from(["balanced", "x" * 100, None])
GOOD_LIMITS = st.sampled_from([1, 2, 2**53 - 1, None])
GOOD_BODIES: st.SearchStrategy[Body] = st.fixed_dictionaries(
    {
        "messages": st.lists(GOOD_MESSAGES, max_size=3).map(
            lambda before: [*before, {"role": "user", "content": "Hi"}]
        )
    },
    optional={
        "profile": GOOD_NAMES,
        "aiUsageProfile": GOOD_NAMES,
        "model": st.sampled_from(["fast", "x" * 200, None]),
        "systemPrompt": st.sampled_from(["Be kind.", "", None]),
        "dailyTokenLimit": GOOD_LIMITS,
        "maxTokensPerRequest": GOOD_LIMITS,
        "other": ODD,
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "role", "content", "profile", "x", "\ud800"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def outcome(raw: bytes) -> ChatRequest | InvalidRequestError:
    try:
        return decode_chat(raw)
    except InvalidRequestError as error:
        return error


def is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def is_name(value: object) -> bool:
    return value is None or (is_text(value) and 1 <= len(str(value)) <= 100)


def is_model(value: object) -> bool:
    return value is None or (is_text(value) and 1 <= len(str(value)) <= 200)


def is_limit(value: object) -> bool:
    return value is None or (type(value) is int and 1 <= value < 2**53)


FIELDS: dict[str, Callable[[object], bool]] = {
    "profile": is_name,
    "aiUsageProfile": is_name,
    "model": is_model,
    "systemPrompt": lambda value: value is None or is_text(value),
    "dailyTokenLimit": is_limit,
    "maxTokensPerRequest": is_limit,
}


def is_message(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.get("role") in ("user", "assistant", "system")
        and is_text(value.get("content"))
    )


def is_request(body: Body) -> bool:
    """What the dialect promises to take, as a reader of its documentation understands it."""
    said = body["messages"]
    if not isinstance(said, list) or not all(is_message(message) for message in said):
        return False
    asked = [message["content"] for message in said if message["role"] == "user"]
    return (
        bool(asked)
        and bool(asked[-1].strip())
        and all(check(body.get(name)) for name, check in FIELDS.items())
    )


@given(GOOD_BODIES | BODIES)
def test_exactly_the_bodies_that_the_model_takes_are_taken(body: Body) -> None:
    raw = json.dumps(body).encode()
    expected = is_request(body)
    event(f"taken: {expected}")
    assert isinstance(outcome(raw), ChatRequest) is expected


@given(GOOD_BODIES)
def test_a_taken_body_loses_nothing(body: Body) -> None:
    request = decode_chat(json.dumps(body, ensure_ascii=False).encode())
    said = [(str(message.role), message.content) for message in request.messages]
    assert said == [(message["role"], message["content"]) for message in body["messages"]]
    first, second = body.get("profile"), body.get("aiUsageProfile")
    assert request.profile == (second if first is None else first)
    assert request.model == body.get("model")
    assert (request.system_prompt or "") == (body.get("systemPrompt") or "")
    assert request.wishes.tokens_per_day == body.get("dailyTokenLimit")
    assert request.wishes.tokens_per_request == body.get("maxTokensPerRequest")


@given(JSON)
def test_any_json_is_a_request_or_a_refusal_that_can_be_shown(value: object) -> None:
    answer = outcome(json.dumps(value).encode())
    if isinstance(answer, InvalidRequestError):
        assert ChatNestDialect().error(answer).status == 400
        assert answer.reason


@given(st.binary(max_size=40))
@example(b'{"messages":[{"role":"user","content":"Hi"}],"\xff":0,"\\u0061":1}')
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    assert isinstance(outcome(raw), ChatRequest | InvalidRequestError)


@given(st.integers(0, 70), st.binary(max_size=3), st.integers(0, 4))
def test_a_damaged_body_is_a_request_or_a_refusal(at: int, put: bytes, cut: int) -> None:
    whole = b'{"messages":[{"role":"user","content":"H\\u00e9"}],"dailyTokenLimit":12}'
    assert isinstance(decode_chat(whole), ChatRequest)
    damaged = whole[:at] + put + whole[at + cut :]
    assert isinstance(outcome(damaged), ChatRequest | InvalidRequestError)
