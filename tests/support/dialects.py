"""Every dialect as a client of its own: how it asks, and what it makes of the answer.

Written from what the wires are, and from nothing of ChatNest's.
"""

import json
from collections.abc import Iterable
from typing import Final

from tests.support.client import Event
from tests.support.provider_dialects import ANTHROPIC, OPENAI, RESPONSES
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

# ChatNest's own: texts alone.


def _chatnest_body(talk: Talk) -> Body:
    roles = ("user", "assistant")
    messages = [
        {"role": roles[index % 2], "content": turn} for index, turn in enumerate(talk.turns)
    ]
    return {"messages": messages, **({"systemPrompt": talk.system} if talk.system else {})}


def _read_chatnest(events: Iterable[Event]) -> Told:
    told = Told()
    for event in events:
        match event.name:
            case "token":
                told.text += event.json
            case "tool_call":
                piece = event.json
                told.call(
                    piece["index"],
                    id=piece.get("id"),
                    name=piece.get("name", ""),
                    more=piece["arguments"],
                )
            case "usage":
                told.tokens = (event.json["inputTokens"], event.json["outputTokens"])
                told.cost_usd = event.json["costUsd"]
            case "done":
                told.ended = True
    return told


def _refused_by_chatnest(status: int, raw: bytes) -> Refused:
    body = json.loads(raw)
    return Refused(status, (body["code"],), body.get("reason", body["error"]), body.get("field"))


# The AI SDK's UI message stream.


def _ui_body(talk: Talk) -> Body:
    messages: list[Body] = []
    if talk.system:
        messages.append(_ui_message("system", {"type": "text", "text": talk.system}))
    for turn in talk.turns:
        if isinstance(turn, str):
            messages.append(_ui_message("user", {"type": "text", "text": turn}))
            continue
        part = {
            "type": f"tool-{turn.call.name}",
            "toolCallId": turn.call.id,
            "state": "output-available",
            "input": json.loads(turn.call.arguments),
            "output": turn.result,
        }
        messages.append(_ui_message("assistant", {"type": "step-start"}, part))
    body: Body = {"id": "chat-1", "messages": messages, "trigger": "submit-message"}
    if talk.has_tool:
        body["tools"] = {TOOL_NAME: {"description": TOOL_TEXT, "inputSchema": TOOL_SCHEMA}}
    return body


def _ui_message(role: str, *parts: Body) -> Body:
    return {"id": "m", "role": role, "parts": list(parts)}


def _read_ui(events: Iterable[Event]) -> Told:
    told = Told()
    finished = False
    for event in events:
        if event.name == "data: [DONE]":
            told.ended = finished
            continue
        chunk = data_of(event)
        if chunk is None:
            continue
        match chunk["type"]:
            case "text-delta":
                told.text += chunk["delta"]
            case "tool-input-start":
                told.call(chunk["toolCallId"], id=chunk["toolCallId"], name=chunk["toolName"])
            case "tool-input-delta":
                told.call(chunk["toolCallId"], more=chunk["inputTextDelta"])
            case "finish":
                metadata = chunk["messageMetadata"]
                told.tokens = (
                    metadata["usage"]["inputTokens"],
                    metadata["usage"]["outputTokens"],
                )
                told.cost_usd = metadata.get("costUsd")
                finished = True
    return told


def _refused_by_ui(status: int, raw: bytes) -> Refused:
    return Refused(status, (), raw.decode(), None)


# AG-UI.


def _run_body(talk: Talk) -> Body:
    messages: list[Body] = [{"role": "system", "content": talk.system}] if talk.system else []
    for turn in talk.turns:
        if isinstance(turn, str):
            messages.append({"role": "user", "content": turn})
            continue
        function = {"name": turn.call.name, "arguments": turn.call.arguments}
        call = {"id": turn.call.id, "type": "function", "function": function}
        messages.append({"role": "assistant", "toolCalls": [call]})
        messages.append({"role": "tool", "toolCallId": turn.call.id, "content": turn.result})
    numbered = [{"id": str(index), **message} for index, message in enumerate(messages)]
    body: Body = {"threadId": "thread-1", "runId": "run-1", "messages": numbered}
    if talk.has_tool:
        tool = {"name": TOOL_NAME, "description": TOOL_TEXT, "parameters": TOOL_SCHEMA}
        body["tools"] = [tool]
    return body


def _read_run(events: Iterable[Event]) -> Told:
    told = Told()
    for event in events:
        told_event = data_of(event)
        if told_event is None:
            continue
        match told_event["type"]:
            case "TEXT_MESSAGE_CONTENT":
                told.text += told_event["delta"]
            case "TOOL_CALL_START":
                call_id = told_event["toolCallId"]
                told.call(call_id, id=call_id, name=told_event["toolCallName"])
            case "TOOL_CALL_ARGS":
                told.call(told_event["toolCallId"], more=told_event["delta"])
            case "CUSTOM":
                told.cost_usd = told_event["value"]["costUsd"]
            case "RUN_FINISHED":
                (usage,) = told_event["usage"]
                told.tokens = (usage["inputTokens"], usage["outputTokens"])
                told.ended = True
    return told


def _named_in_properties(body: Body, model: str) -> Body:
    return {**body, "forwardedProps": {"model": model}}


CHATNEST = Speaker(
    "chatnest",
    "chatnest",
    "/api/chat",
    _chatnest_body,
    _read_chatnest,
    _refused_by_chatnest,
    lambda body, model: body,
    "messages[0].content",
    "event: ping\ndata: \n\n",
    has_tools=False,
)
AI_SDK = Speaker(
    "ai-sdk",
    "ai-sdk",
    "/api/ui/chat",
    _ui_body,
    _read_ui,
    _refused_by_ui,
    named,
    "messages[0].parts",
    ": ping\n\n",
)
AG_UI = Speaker(
    "ag-ui",
    "ag-ui",
    "/agui",
    _run_body,
    _read_run,
    _refused_by_chatnest,
    _named_in_properties,
    "messages[0].content",
    ": ping\n\n",
)

SPEAKERS: Final = {
    speaker.name: speaker for speaker in (CHATNEST, OPENAI, RESPONSES, ANTHROPIC, AI_SDK, AG_UI)
}
