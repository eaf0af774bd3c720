"""``POST /v1/messages/count_tokens``: what is to be counted, and the answer."""

import json

import pytest

from chatnest.adapters.transport.anthropic_count import CountedPrompt, decode_count, encode_count
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Role
from chatnest.domain.tools import Tool
from tests.adapters.transport.anthropic_client import client_of

HELLO = {"role": "user", "content": "Hello"}
ADD = {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}


def body(**fields: object) -> bytes:
    return json.dumps({"model": "model-1", "messages": [HELLO], **fields}).encode()


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode_count(raw)
    return caught.value.field, caught.value.reason


def test_what_the_model_reads_is_counted_and_nothing_else() -> None:
    raw = body(
        system="Be brief.",
        tools=[ADD],
        tool_choice={"type": "any"},
        thinking={"type": "adaptive"},
        max_tokens="not looked at",
        service_tier="auto",
    )
    assert decode_count(raw) == CountedPrompt(
        "model-1",
        (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hello")),
        (Tool("add", "Adds.", '{"type":"object"}'),),
    )


@pytest.mark.parametrize("content", ["", " ", "Hi"])
def test_a_prompt_need_not_ask_anything(content: str) -> None:
    said = [{"role": "assistant", "content": content}]
    assert decode_count(body(messages=said)).messages == (Message(Role.ASSISTANT, content),)


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"[]", None, 'the body must be a JSON object with "model" and "messages"'),
        (b"{}", "model", "is missing"),
        (body(messages=[]), "messages", "must be a list of 1 to"),
        (body(tools=[ADD, ADD]), "tools[1].name", "is the name of another tool"),
        (body(tool_choice={"type": "any"}), "tool_choice", "needs tools"),
        (body(mcp_servers=[]), "mcp_servers", "is not taken by this server"),
        (body(system="\0"), "system", "NUL"),
        (body()[:-1] + b',"model":"m"}', "model", "is given twice"),
    ],
)
def test_a_bad_body_is_told_which_field_and_why(raw: bytes, field: str | None, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


async def test_the_sdk_reads_the_count() -> None:
    response = encode_count(2_095)
    assert response.body == b'{"input_tokens":2095}'
    client, requests = client_of(response.status, response.headers, [response.body])
    async with client:
        counted = await client.messages.count_tokens(
            model="model-1", messages=[{"role": "user", "content": "Hello"}]
        )
    assert counted.input_tokens == 2_095
    assert decode_count(requests[0].content).messages == (Message(Role.USER, "Hello"),)
