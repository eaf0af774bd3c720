"""Bodies of ``POST /v1/messages`` that are refused, and what is said of them."""

from bisect import bisect_left
from typing import Any

import pytest

from chatnest.domain.errors import InvalidRequestError
from tests.adapters.transport.anthropic_bodies import (
    ADD,
    CALL,
    HELLO,
    LARGEST,
    PIXEL,
    RESULT,
    after_call,
    body,
    decode,
    flaw,
    said,
)

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
