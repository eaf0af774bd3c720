"""Each server that is known by its address is sent what it takes."""

import json
from typing import Any

import pytest

from chatnest.adapters.providers.openai_request import CALL_FIELDS, request_body
from chatnest.adapters.providers.openai_servers import (
    COMPATIBLE,
    SERVERS,
    ServerQuirks,
    quirks_of,
)
from chatnest.domain.messages import Message, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool, ToolChoice

WISH = ToolCall("call_1", "f", "{}")
THOUGHTFUL = Message.of_parts(
    Role.ASSISTANT, [ReasoningPart("hm"), ReasoningPart("so")], tool_calls=(WISH,)
)
CALL = ProviderCall(
    *("r", "some-model", (Message(Role.USER, "Hi"), THOUGHTFUL), 7, 0.5),
    tools=(Tool("f"),),
    tool_choice=ToolChoice(parallel=False),
    top_p=0.9,
    end_user="u",
)


def body_at(base_url: str, call: ProviderCall = CALL) -> dict[str, Any]:
    body = json.loads(request_body(call, quirks_of(base_url)))
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("base_url", "known_as"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://eu.api.openai.com/v1/", "api.openai.com"),
        ("https://API.MISTRAL.AI:443/v1", "api.mistral.ai"),
        ("https://api.deepseek.com", "api.deepseek.com"),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai/",
            "generativelanguage.googleapis.com",
        ),
    ],
)
def test_a_server_is_known_by_the_end_of_its_host(base_url: str, known_as: str) -> None:
    assert quirks_of(base_url) is SERVERS[known_as]


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8080/v1",
        "http://localhost:11434/v1/",
        "https://openrouter.ai/api/v1",
        "https://notapi.mistral.ai/v1",
        "https://api.mistral.ai.example.test/v1",
        "https://example.test/api.mistral.ai",
        "",
    ],
)
def test_any_other_server_is_a_compatible_one(base_url: str) -> None:
    assert quirks_of(base_url) is COMPATIBLE


def test_openai_caps_a_model_of_no_known_family_too() -> None:
    caps = {name for name in body_at("https://api.openai.com/v1") if name.startswith("max_")}
    assert caps == {"max_completion_tokens"}


def test_mistral_is_sent_nothing_that_it_forbids() -> None:
    body = body_at("https://api.mistral.ai/v1")
    assert not {"stream_options", "user", "max_completion_tokens"} & body.keys()
    assert body["max_tokens"] == 7
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize("base_url", ["https://api.deepseek.com", "https://api.moonshot.ai/v1"])
def test_thoughts_go_back_with_the_calls_that_came_of_them(base_url: str) -> None:
    plain = Message(Role.ASSISTANT, "", tool_calls=(WISH,))
    answer = Message.of_parts(Role.ASSISTANT, [ReasoningPart("ah"), TextPart("Done.")])
    call = ProviderCall("r", "m", (THOUGHTFUL, plain, answer), 7)
    first, second, third = body_at(base_url, call)["messages"]
    assert first["reasoning_content"] == "hm\nso"
    assert second["reasoning_content"] == ""
    assert third == {"role": "assistant", "content": "Done."}


def test_kimi_is_left_its_own_temperature() -> None:
    assert not {"temperature", "top_p"} & body_at("https://api.moonshot.ai/v1").keys()


def test_gemini_is_given_the_stand_in_for_a_seal_with_every_call() -> None:
    body = body_at("https://generativelanguage.googleapis.com/v1beta/openai")
    (wish,) = body["messages"][1]["tool_calls"]
    assert wish["extra_content"]["google"]["thought_signature"]
    assert wish["function"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize("quirks", SERVERS.values(), ids=SERVERS)
def test_no_quirk_takes_the_cap_or_the_messages_away(quirks: ServerQuirks) -> None:
    assert quirks.refused <= CALL_FIELDS - {"messages", "model", "stream"}
    body = json.loads(request_body(CALL, quirks))
    caps = [
        value for name, value in body.items() if name in {"max_tokens", "max_completion_tokens"}
    ]
    assert caps == [7]
    assert body["stream"] is True
    assert len(body["messages"]) == len(CALL.messages)
