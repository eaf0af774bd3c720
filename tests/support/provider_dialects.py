"""The dialects that are a provider's own wire, each as a client of its own."""

import json
from collections.abc import Iterable
from typing import Any

from tests.support.client import Event
from tests.support.speaker import (
    TOOL_NAME,
    TOOL_SCHEMA,
    TOOL_TEXT,
    Body,
    Refused,
    Speaker,
    Talk,
    Told,
    data_of,
    named,
)

# OpenAI's Chat Completions.


def _completion_body(talk: Talk) -> Body:
    messages: list[Body] = [{"role": "system", "content": talk.system}] if talk.system else []
    for turn in talk.turns:
        if isinstance(turn, str):
            messages.append({"role": "user", "content": turn})
            continue
        function = {"name": turn.call.name, "arguments": turn.call.arguments}
        call = {"id": turn.call.id, "type": "function", "function": function}
        messages.append({"role": "assistant", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": turn.call.id, "content": turn.result})
    body: Body = {"messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    if talk.has_tool:
        tool = {"name": TOOL_NAME, "description": TOOL_TEXT, "parameters": TOOL_SCHEMA}
        body["tools"] = [{"type": "function", "function": tool}]
    return body


def _read_completion(events: Iterable[Event]) -> Told:
    told = Told()
    for event in events:
        if event.data == "[DONE]" or event.name == "data: [DONE]":
            told.ended = True
            continue
        chunk = data_of(event)
        if chunk is None:
            continue
        if chunk.get("usage"):
            usage = chunk["usage"]
            told.tokens = (usage["prompt_tokens"], usage["completion_tokens"])
            told.cost_usd = chunk["chatnest"]["costUsd"]
        for choice in chunk["choices"]:
            told.text += choice["delta"].get("content") or ""
            for piece in choice["delta"].get("tool_calls", ()):
                function = piece["function"]
                told.call(
                    piece["index"],
                    id=piece.get("id"),
                    name=function.get("name", ""),
                    more=function.get("arguments", ""),
                )
    return told


def _refused_by_openai(status: int, raw: bytes) -> Refused:
    error = json.loads(raw)["error"]
    return Refused(status, (error["type"], error["code"]), error["message"], error["param"])


# OpenAI's Responses.


def _response_body(talk: Talk) -> Body:
    items: list[Body] = []
    for turn in talk.turns:
        if isinstance(turn, str):
            items.append({"role": "user", "content": turn})
            continue
        call = {"call_id": turn.call.id, "name": turn.call.name, "arguments": turn.call.arguments}
        items.append({"type": "function_call", **call})
        result = {"call_id": turn.call.id, "output": turn.result}
        items.append({"type": "function_call_output", **result})
    body: Body = {"input": items, "stream": True}
    if talk.system:
        body["instructions"] = talk.system
    if talk.has_tool:
        tool = {"name": TOOL_NAME, "description": TOOL_TEXT, "parameters": TOOL_SCHEMA}
        body["tools"] = [{"type": "function", **tool}]
    return body


def _read_response(events: Iterable[Event]) -> Told:
    told = Told()
    for event in events:
        match event.name:
            case "response.output_text.delta":
                told.text += event.json["delta"]
            case "response.output_item.added" if event.json["item"]["type"] == "function_call":
                item = event.json["item"]
                told.call(event.json["output_index"], id=item["call_id"], name=item["name"])
            case "response.function_call_arguments.delta":
                told.call(event.json["output_index"], more=event.json["delta"])
            case "response.completed":
                usage = event.json["response"]["usage"]
                told.tokens = (usage["input_tokens"], usage["output_tokens"])
                told.cost_usd = event.json["response"]["chatnest"]["costUsd"]
                told.ended = True
    return told


# Anthropic's Messages.


def _message_body(talk: Talk) -> Body:
    messages: list[Body] = []
    results: list[Body] = []
    for turn in talk.turns:
        if isinstance(turn, str):
            content: Any = [*results, {"type": "text", "text": turn}] if results else turn
            messages.append({"role": "user", "content": content})
            results = []
            continue
        call = {
            "id": turn.call.id,
            "name": turn.call.name,
            "input": json.loads(turn.call.arguments),
        }
        messages.append({"role": "assistant", "content": [{"type": "tool_use", **call}]})
        result = {"tool_use_id": turn.call.id, "content": turn.result}
        results.append({"type": "tool_result", **result})
    body: Body = {"model": "m", "max_tokens": 400, "messages": messages, "stream": True}
    if talk.system:
        body["system"] = talk.system
    if talk.has_tool:
        tool = {"name": TOOL_NAME, "description": TOOL_TEXT, "input_schema": TOOL_SCHEMA}
        body["tools"] = [tool]
    return body


def _read_message(events: Iterable[Event]) -> Told:
    told = Told()
    for event in events:
        match event.name:
            case "content_block_start" if event.json["content_block"]["type"] == "tool_use":
                block = event.json["content_block"]
                told.call(event.json["index"], id=block["id"], name=block["name"])
            case "content_block_delta":
                delta = event.json["delta"]
                told.text += delta.get("text", "")
                if delta["type"] == "input_json_delta":
                    told.call(event.json["index"], more=delta["partial_json"])
            case "message_delta":
                usage = event.json["usage"]
                told.tokens = (usage["input_tokens"], usage["output_tokens"])
            case "message_stop":
                told.ended = True
    return told


def _refused_by_anthropic(status: int, raw: bytes) -> Refused:
    error = json.loads(raw)["error"]
    # This wire has no field for a field: its message begins with it.
    field, colon, _ = str(error["message"]).partition(": ")
    words = (error["type"], error["details"]["error_code"])
    return Refused(status, words, error["message"], field if colon else None)


OPENAI = Speaker(
    "openai",
    "openai",
    "/v1/chat/completions",
    _completion_body,
    _read_completion,
    _refused_by_openai,
    named,
    "messages[0].content",
    ": ping\n\n",
)
RESPONSES = Speaker(
    "responses",
    "openai",
    "/v1/responses",
    _response_body,
    _read_response,
    _refused_by_openai,
    named,
    "input[0].content",
    ": ping\n\n",
)
ANTHROPIC = Speaker(
    "anthropic",
    "anthropic",
    "/v1/messages",
    _message_body,
    _read_message,
    _refused_by_anthropic,
    named,
    "messages[0].content",
    'event: ping\ndata: {"type": "ping"}\n\n',
)
