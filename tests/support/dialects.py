"""Every dialect as a client of its own: how it asks, and what it makes of the answer.

Written from what the wires are, and from nothing of ChatNest's.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tests.support.client import Event, Exchange

Body = dict[str, Any]


class Call(NamedTuple):
    """A tool call; the arguments are JSON text."""

    id: str
    name: str
    arguments: str


class ToolUse(NamedTuple):
    """A call of the model's, and what came of it."""

    call: Call
    result: str


class Talk(NamedTuple):
    """A conversation: questions of the user's, and between them answers or uses of the tool."""

    system: str | None
    turns: tuple[str | ToolUse, ...]
    has_tool: bool = False


TOOL_NAME: Final = "get_weather"
TOOL_TEXT: Final = "How the weather is."
TOOL_SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}}}

HELLO: Final = Talk(None, ("Hello!",))


@dataclass
class Told:
    """What a client learned: texts and calls joined, tokens and cost where the wire has them."""

    text: str = ""
    calls: dict[object, Call] = field(default_factory=dict)
    tokens: tuple[int, int] | None = None
    cost_usd: str | None = None
    ended: bool = False

    def call(self, key: object, *, id: str | None = None, name: str = "", more: str = "") -> None:
        """The call *key* begins, or goes on with *more* of its arguments."""
        known = self.calls.get(key, Call(id or "", name, ""))
        self.calls[key] = known._replace(arguments=known.arguments + more)

    @property
    def asked(self) -> list[Call]:
        """The calls, with their arguments as they stand."""
        return list(self.calls.values())


class Refused(NamedTuple):
    """An error before an answer: the dialect's own words, and what they are about."""

    status: int
    words: tuple[str, ...]
    text: str
    field: str | None


@dataclass(frozen=True)
class Speaker:
    """One dialect: ``switch`` mounts it, ``tells_field``: its errors have a field for the field."""

    name: str
    switch: str
    path: str
    body: Callable[[Talk], Body]
    read: Callable[[Iterable[Event]], Told]
    refused: Callable[[int, bytes], Refused]
    model: Callable[[Body, str], Body]
    question: str
    ping: str
    has_tools: bool = True

    async def ask(
        self,
        port: int,
        talk: Talk = HELLO,
        *,
        model: str | None = None,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Exchange:
        """Send *talk* to *model*, with the fields *more* in its body; to *path*, if given."""
        body = self.body(talk)
        raw = self.raw({**(body if model is None else self.model(body, model)), **more})
        return await Exchange.open(port, path or self.path, body=raw, headers=dict(headers or {}))

    async def hear(self, exchange: Exchange) -> Told:
        """The whole answer, a stream."""
        async with exchange:
            assert await exchange.head() == 200, await exchange.body()
            told = self.read([event async for event in exchange.events()])
        assert told.ended, f"{self.name}: the stream did not end as its wire has it"
        return told

    async def refusal(self, exchange: Exchange) -> Refused:
        """The error instead of an answer."""
        async with exchange:
            return self.refused(await exchange.head(), await exchange.body())

    @staticmethod
    def raw(body: Body) -> bytes:
        """*body* as its bytes."""
        return json.dumps(body, separators=(",", ":")).encode()


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
        chunk = _data(event)
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
        chunk = _data(event)
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
        told_event = _data(event)
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


def _data(event: Event) -> Any:
    """The JSON of an event without a name; None where it is a comment."""
    # Such an event's only line is its data.
    if event.name.startswith(":"):
        return None
    return json.loads(event.name.removeprefix("data: "))


def _named(body: Body, model: str) -> Body:
    return {**body, "model": model}


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
OPENAI = Speaker(
    "openai",
    "openai",
    "/v1/chat/completions",
    _completion_body,
    _read_completion,
    _refused_by_openai,
    _named,
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
    _named,
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
    _named,
    "messages[0].content",
    'event: ping\ndata: {"type": "ping"}\n\n',
)
AI_SDK = Speaker(
    "ai-sdk",
    "ai-sdk",
    "/api/ui/chat",
    _ui_body,
    _read_ui,
    _refused_by_ui,
    _named,
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
