"""Bodies of ``POST /v1/chat/completions`` that are refused, and what is said of them."""

import pytest

from chatnest.domain.errors import InvalidRequestError
from tests.adapters.transport.openai_chat_bodies import (
    ASKED,
    CALL,
    HELLO,
    LARGEST,
    LOOK_UP,
    RESULT,
    body,
    decode,
    flaw,
    said,
)


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
