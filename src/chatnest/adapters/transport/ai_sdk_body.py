"""The body of ``POST /api/ui/chat``, as ``useChat`` and its DefaultChatTransport send it.

The messages are UI messages: an assistant's whole turn, with several steps and the results of its
tools, is one of them. Parts that are the app's own (``data-*``) or only shown (``source-*``,
``custom``, ``reasoning-file``) are not for the model, and are left out as the AI SDK itself does.
So are an assistant's own files, which no provider takes back.

``useChat`` sends no definitions of tools. Who wants them sent adds ``tools`` to the transport's
body: ``{name: {description, inputSchema}}``, as the AI SDK has them. assistant-ui calls the schema
``parameters``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from chatnest.adapters.transport.ai_sdk_tool_parts import (
    ToolPartBody,
    is_tool_part,
    tool_call,
    tool_result,
)
from chatnest.adapters.transport.bodies import BodyFormat
from chatnest.adapters.transport.chatnest_body import LONGEST_PROFILE_NAME, MOST_MESSAGES
from chatnest.adapters.transport.conversation_checks import (
    Said,
    refuse_empty_question,
    refuse_written_nul,
)
from chatnest.adapters.transport.flaws import refuse_repeated_names
from chatnest.adapters.transport.image_urls import image_part
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Part, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool

_SHOWN_ONLY: Final = frozenset({"source-url", "source-document", "custom", "reasoning-file"})
_APPS_OWN: Final = "data-"

_Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_PROFILE_NAME, pattern=r"\A[^\x00]*\Z")]
_Text = Annotated[str, Meta(pattern=r"\A[^\x00]*\Z")]


class SealBody(msgspec.Struct):
    """A thought's seal, as :mod:`chatnest.adapters.transport.ai_sdk` wrote it into the part."""

    signature: str | None = None
    redacted: bool = False


class MetadataBody(msgspec.Struct):
    """What providers wrote beside a part; that of others than ChatNest is not read."""

    chatnest: SealBody | None = None


class PartBody(ToolPartBody, rename="camel", kw_only=True):
    """One part of a message; which fields it has depends on its type."""

    text: str | None = None
    media_type: str | None = None
    url: str | None = None
    provider_metadata: MetadataBody | None = None
    parts: list["PartBody"] | None = None


class MessageBody(msgspec.Struct):
    """One UI message; its metadata are the app's own."""

    role: Literal["user", "assistant", "system"]
    parts: list[PartBody]
    id: str | None = None


class ToolBody(msgspec.Struct, rename="camel"):
    """A tool of the client's; its name is its key."""

    description: str | None = None
    input_schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    parameters: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class UiChatBody(msgspec.Struct, rename="camel"):
    """The whole body; ``system`` is assistant-ui's, the chat's ``id`` is not read."""

    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=MOST_MESSAGES)]
    trigger: str | None = None
    profile: _Name | None = None
    model: _Name | None = None
    system: _Text | None = None
    tools: dict[_Name, ToolBody] | None = None


@dataclass(frozen=True, slots=True)
class UiChat:
    """A decoded body; the answer continues the message ``continued_id``, if there is one."""

    request: ChatRequest
    continued_id: str | None


_NAME = f"must be a text of 1 to {LONGEST_PROFILE_NAME} characters"
_FORMAT = BodyFormat(
    UiChatBody,
    {
        "": 'the body must be a JSON object with "messages"',
        "messages": f"must be a list of 1 to {MOST_MESSAGES} messages",
        "messages[]": 'must be an object with "role" and "parts"',
        "messages[].role": 'must be "user", "assistant" or "system"',
        "messages[].parts": "must be a list of parts",
        "messages[].parts[]": 'must be an object with "type"',
        "messages[].parts[].type": "must be a text",
        "messages[].parts[].text": "must be a text",
        "messages[].parts[].state": "must be a state of the AI SDK's",
        "messages[].parts[].url": "must be a text",
        "messages[].parts[].mediaType": "must be a text",
        "profile": _NAME,
        "model": _NAME,
        "system": "must be a text without NUL characters",
        "tools": 'must be an object of tools, each with "description" and "inputSchema"',
    },
)


def decode_ui_chat(body: bytes) -> UiChat:
    """The chat in *body*; names that it does not know are ignored.

    Raises:
        InvalidRequestError: *body* is no such chat.
    """
    chat = _FORMAT.decode(body)
    refuse_repeated_names(body)
    said = [one for index, message in enumerate(chat.messages) for one in _said(index, message)]
    refuse_written_nul(said)
    refuse_empty_question(reversed(said), results_are_enough=True)
    request = ChatRequest(
        messages=tuple([message for _, message in said]),
        profile=chat.profile,
        model=chat.model,
        system_prompt=chat.system or None,
        tools=tuple([_tool(name, tool) for name, tool in (chat.tools or {}).items()]),
    )
    return UiChat(request, _continued(chat))


def _continued(chat: UiChatBody) -> str | None:
    """The id of the message that the client adds the answer to: it sent the results of tools.

    Under another id the client would show that message twice.
    """
    last = chat.messages[-1]
    return last.id if last.role == "assistant" and chat.trigger != "regenerate-message" else None


def _tool(name: str, tool: ToolBody) -> Tool:
    schema = bytes(tool.input_schema) or bytes(tool.parameters)
    description = tool.description or ""
    return Tool(name, description, schema.decode()) if schema else Tool(name, description)


def _said(index: int, message: MessageBody) -> Iterator[Said]:
    path = f"messages[{index}]"
    match message.role:
        case "assistant":
            yield from _turn(message.parts, f"{path}.parts")
        case "user":
            yield _asked(message.parts, f"{path}.parts")
        case "system":
            parts = _content(message.parts, f"{path}.parts")
            texts = [part.text for part in parts if isinstance(part, TextPart)]
            yield f"{path}.parts", Message(Role.SYSTEM, "".join(texts))


def _asked(parts: list[PartBody], path: str) -> Said:
    return path, Message.of_parts(Role.USER, _content(parts, path))


def _turn(parts: list[PartBody], path: str) -> Iterator[Said]:
    """An assistant's message as its steps; people may have spoken between two of them."""
    step: list[tuple[str, PartBody]] = []
    for index, part in enumerate(parts):
        inner = f"{path}[{index}]"
        if part.type not in ("step-start", "steering-message"):
            step.append((inner, part))
            continue
        yield from _step(step, path)
        step = []
        if part.parts:
            yield _asked(part.parts, f"{inner}.parts")
    yield from _step(step, path)


def _step(step: list[tuple[str, PartBody]], path: str) -> Iterator[Said]:
    """What the model said and called in one step, then what came of the calls."""
    content: list[Part] = []
    calls: list[ToolCall] = []
    results: list[Message] = []
    for inner, part in step:
        if not is_tool_part(part):
            content += [] if part.type == "file" else _part(part, inner)
            continue
        call, result = tool_call(part, inner), tool_result(part)
        if call is not None:
            calls.append(call)
        if result is not None:
            results.append(result)
    if content or calls:
        yield path, Message.of_parts(Role.ASSISTANT, content, tool_calls=tuple(calls))
    yield from ((path, result) for result in results)


def _content(parts: list[PartBody], path: str) -> list[Part]:
    return [found for index, part in enumerate(parts) for found in _part(part, f"{path}[{index}]")]


def _part(part: PartBody, path: str) -> list[Part]:
    """The part at *path* as the model is told of it; nothing where it is not for the model."""
    match part.type:
        case "text":
            return [TextPart(_given(part.text, f"{path}.text"))]
        case "reasoning":
            return _thought(part, path)
        case "file":
            return [_file(part, path)]
        case kind if kind in _SHOWN_ONLY or kind.startswith(_APPS_OWN):
            return []
        case _:
            raise InvalidRequestError("must be a part's type", field=f"{path}.type")


def _thought(part: PartBody, path: str) -> list[Part]:
    """A thought, to be given back; one that was cut short before it said anything is nothing."""
    seal = part.provider_metadata and part.provider_metadata.chatnest
    text = _given(part.text, f"{path}.text")
    if seal:
        return [ReasoningPart(text, seal.signature, seal.redacted)]
    return [ReasoningPart(text)] if text else []


def _file(part: PartBody, path: str) -> Part:
    kind = _given(part.media_type, f"{path}.mediaType")
    if kind.partition("/")[0] != "image":
        raise InvalidRequestError(
            "must be that of a picture; no other file is taken", field=f"{path}.mediaType"
        )
    return image_part(_given(part.url, f"{path}.url"), f"{path}.url")


def _given(text: str | None, field: str) -> str:
    if text is None:
        raise InvalidRequestError("is missing; it must be a text", field=field)
    return text
