"""Bodies of ``POST /api/chat``: what they mean, and what is said of those that mean nothing."""

import json
from bisect import bisect_left

import pytest

from chatnest.adapters.transport.chatnest_body import decode_chat
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Role
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest

HELLO = {"id": "1", "role": "user", "content": "Hello"}
LARGEST = 2**53 - 1


def body(**fields: object) -> bytes:
    return json.dumps({"messages": [HELLO], **fields}).encode()


def said(role: str = "user", content: object = "Hello") -> bytes:
    return json.dumps({"messages": [HELLO, {"role": role, "content": content}]}).encode()


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode_chat(raw)
    return caught.value.field, caught.value.reason


def test_a_conversation_keeps_its_roles_texts_and_order() -> None:
    raw = """{"messages": [
        {"id": "0", "role": "system", "content": "Be brief."},
        {"id": "1", "role": "user", "content": "Ünïcode \\ud83d\\ude00\\u2028"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "And?", "createdAt": 5, "parts": [{"content": 1}]}
    ]}"""
    assert decode_chat(raw.encode()) == ChatRequest(
        messages=(
            Message(Role.SYSTEM, "Be brief."),
            Message(Role.USER, "Ünïcode \U0001f600\u2028"),
            Message(Role.ASSISTANT, ""),
            Message(Role.USER, "And?"),
        )
    )


def test_every_wish_of_a_client_is_understood() -> None:
    raw = body(
        profile="expanded",
        model="fast",
        systemPrompt="Be kind.",
        dailyTokenLimit=5_000,
        maxTokensPerRequest=LARGEST,
        somethingNew={"messages": [None]},
    )
    assert decode_chat(raw) == ChatRequest(
        messages=(Message(Role.USER, "Hello"),),
        profile="expanded",
        model="fast",
        system_prompt="Be kind.",
        wishes=Wishes(tokens_per_day=5_000, tokens_per_request=LARGEST),
    )


def test_null_is_the_same_as_nothing() -> None:
    names = [
        "profile",
        "aiUsageProfile",
        "model",
        "systemPrompt",
        "dailyTokenLimit",
        "maxTokensPerRequest",
    ]
    assert decode_chat(body(**dict.fromkeys(names))) == decode_chat(body())
    assert decode_chat(body()) == ChatRequest(messages=(Message(Role.USER, "Hello"),))


@pytest.mark.parametrize(
    ("fields", "profile"),
    [
        ({"profile": "balanced"}, "balanced"),
        ({"aiUsageProfile": "budget"}, "budget"),
        ({"profile": "balanced", "aiUsageProfile": "free"}, "balanced"),
        ({"aiUsageProfile": "free", "profile": "balanced"}, "balanced"),
        ({"profile": None, "aiUsageProfile": "free"}, "free"),
        ({}, None),
    ],
)
def test_profile_goes_before_its_old_name(fields: dict[str, object], profile: str | None) -> None:
    assert decode_chat(body(**fields)).profile == profile


def test_an_empty_system_prompt_is_none() -> None:
    assert decode_chat(body(systemPrompt="")).system_prompt is None


def test_two_thousand_messages_are_the_most() -> None:
    many = [HELLO] * 2_000
    assert len(decode_chat(json.dumps({"messages": many}).encode()).messages) == 2_000
    field, reason = flaw(json.dumps({"messages": [*many, HELLO]}).encode())
    assert (field, reason) == ("messages", "must be a list of 1 to 2000 messages")


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", None, "the body is empty"),
        (b" \n", None, "the body is empty"),
        (b"hello", None, "not valid JSON"),
        (body()[:-1], None, "not valid JSON"),
        (body() + b"}", None, "not valid JSON: Extra data at character"),
        (b"\xef\xbb\xbf" + body(), None, "not valid JSON"),
        (b"\xff\xfe{\0}\0", None, "not UTF-8 at byte 0"),
        (b"[]", None, 'must be a JSON object with "messages"'),
        (b"null", None, "must be a JSON object"),
        (b'"messages"', None, "must be a JSON object"),
        (b"{}", "messages", "is missing; it must be a list"),
        (b'{"messages":null}', "messages", "must be a list"),
        (b'{"messages":{"0":1}}', "messages", "must be a list"),
        (b'{"messages":[]}', "messages", "must be a list of 1 to"),
        (b'{"messages":[[]]}', "messages[0]", "must be an object"),
        (b'{"messages":[null]}', "messages[0]", "must be an object"),
        (b'{"messages":[{"content":"x"}]}', "messages[0].role", 'is missing; it must be "user"'),
        (b'{"messages":[{"role":"user"}]}', "messages[0].content", "is missing; it must be a text"),
        (said("tool"), "messages[1].role", 'must be "user", "assistant" or "system"'),
        (said("User"), "messages[1].role", 'must be "user", "assistant" or "system"'),
        (said("Object missing required field `x`"), "messages[1].role", 'must be "user"'),
        (said(content=7), "messages[1].content", "must be a text"),
        (said(content=None), "messages[1].content", "must be a text"),
        (said(content=["Hello"]), "messages[1].content", "must be a text"),
        (said(content="a\0b"), "messages[1].content", "NUL"),
        (said(content="a\ud800b"), "messages[1].content", "half of a surrogate pair"),
        (said(content="\udfff"), "messages[1].content", "half of a surrogate pair"),
        (said("\ud800"), "messages[1].role", "half of a surrogate pair"),
        (said().replace(b"Hello", b"\xed\xa0\x80"), None, "not UTF-8 at byte"),
        (said(content=float("nan")), "messages[1].content", "not a number that JSON has"),
        (said(content=""), "messages[1].content", "is blank"),
        (said(content=" " * 1_000_000), "messages[1].content", "is blank"),
        (said(content="\u2028\n\t"), "messages[1].content", "is blank"),
        (
            b'{"messages":[{"role":"system","content":"a"},{"role":"assistant","content":"b"}]}',
            "messages",
            '"user"',
        ),
        (body(profile=3), "profile", "must be the name of a usage profile"),
        (body(profile=""), "profile", "must be the name of a usage profile"),
        (body(profile="x" * 101), "profile", "1 to 100 characters"),
        (body(profile="a\0"), "profile", "NUL"),
        (body(aiUsageProfile=["free"]), "aiUsageProfile", "must be the name"),
        (body(aiUsageProfile="\0"), "aiUsageProfile", "NUL"),
        (body(systemPrompt={}), "systemPrompt", "must be a text"),
        (body(systemPrompt="\0"), "systemPrompt", "NUL"),
        (body(dailyTokenLimit=float("nan")), "dailyTokenLimit", "not a number that JSON has"),
        (body(dailyTokenLimit=float("inf")), "dailyTokenLimit", "not a number that JSON has"),
        (body(dailyTokenLimit=float("-inf")), "dailyTokenLimit", "not a number that JSON has"),
        (body(extra={"a": [1, float("nan")]}), "extra.a[1]", "not a number that JSON has"),
        (body(a=[[]] * 20_000, b=float("nan")), None, "the body is not valid JSON"),
        (body(**{"<b>": float("nan")}), None, "not a number that JSON has"),
        (b'{"messages":' + b"[" * 100_000, "messages[0]", "must be an object"),
        (b'{"a":' * 100_000, None, "nested too deeply"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "nested too deeply"),
        (b'{"messages":NaN,"a":' + b"[" * 100_000, None, "nested too deeply"),
    ],
)
def test_a_bad_body_is_told_which_field_and_why(raw: bytes, field: str | None, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


def test_at_every_depth_a_body_is_a_request_or_refused() -> None:
    def nested(depth: int) -> bytes:
        return body(x="\u00e9")[:-1] + b',"y":' + b"[" * depth + b"]" * depth + b"}"

    def is_refused(depth: int) -> bool:
        try:
            decode_chat(nested(depth))
        except InvalidRequestError:
            return True
        return False

    first_refused = bisect_left(range(100_000), True, key=is_refused)
    assert 16 < first_refused < 100_000
    # How deep is too deep depends a little on who calls; that nothing else is raised does not.
    answers = [is_refused(depth) for depth in range(first_refused - 10, first_refused + 10)]
    assert (answers[0], answers[-1]) == (False, True)


@pytest.mark.parametrize("name", ["dailyTokenLimit", "maxTokensPerRequest"])
@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 10**400, 1.5, "5", True, [], {}])
def test_a_limit_is_a_whole_number_in_range(name: str, value: object) -> None:
    assert flaw(body(**{name: value})) == (
        name,
        f"must be a whole number from 1 to {LARGEST}",
    )


@pytest.mark.parametrize("value", [b"1e999", b"9" * 5_000])
def test_a_limit_beyond_every_number_is_out_of_range(value: bytes) -> None:
    raw = body(dailyTokenLimit=1).replace(b": 1}", b":" + value + b"}")
    assert flaw(raw) == ("dailyTokenLimit", f"must be a whole number from 1 to {LARGEST}")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (body()[:-1] + b',"messages":[{"role":"user","content":"x"}]}', "messages"),
        (body()[:-1] + b',"profile":"free","profile":"budget"}', "profile"),
        (body()[:-1] + b',"profile":"free","pro\\u0066ile":"budget"}', "profile"),
        (b'{"messages":[{"role":"user","role":"user","content":"x"}]}', "role"),
        (b'{"messages":[{"role":"user","content":"a","content":"x"}]}', "content"),
        (b'{"messages":[{"role":"user","content":"a","\\u0063ontent":"x"}]}', "content"),
        (body(x=1)[:-1] + b',"x":[{"y":1,"y":2}]}', "y"),
        (body()[:-1] + b',"a b":1,"a b":1}', None),
        (body()[:-1] + b',"\\u00e9":1,"\xc3\xa9":1}', None),
    ],
)
def test_a_name_given_twice_is_refused(raw: bytes, name: str | None) -> None:
    assert flaw(raw) == (name, "is given twice; send it once")


@pytest.mark.parametrize(
    "raw",
    [
        body(metadata={"messages": 1, "role": 2, "content": 3, "profile": 4}),
        said(content='"role" "content" "messages" \u00e9'),
        body(x=[{"x": 1}, {"x": 2}]),
    ],
)
def test_a_name_that_is_only_there_again_elsewhere_is_fine(raw: bytes) -> None:
    assert decode_chat(raw).messages[0] == Message(Role.USER, "Hello")


def test_an_empty_or_blank_message_before_the_question_is_fine() -> None:
    blank = [{"role": "user", "content": " "}, {"role": "assistant", "content": ""}]
    raw = json.dumps({"messages": [*blank, HELLO, *blank[1:]]}).encode()
    assert [message.content for message in decode_chat(raw).messages] == [" ", "", "Hello", ""]


@pytest.mark.parametrize(
    "raw",
    [
        said("sk-secret"),
        said("Object missing required field `sk-secret`"),
        said("x - at `$.sk-secret`"),
        said(content=["sk-secret"]),
        body(profile="sk-secret" * 20),
        body(dailyTokenLimit="sk-secret"),
        body(systemPrompt="sk-secret\0"),
        body(x="sk-secret") + b"}",
        body(**{"sk-secret": float("nan")}),
    ],
)
def test_nothing_that_was_sent_is_told_back(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode_chat(raw)
    assert "sk-secret" not in str(caught.value)
