"""The body of ``POST /agui``: AG-UI's ``RunAgentInput``, as HttpAgent 1.0 sends it.

``context`` is what the page tells the model about itself. Agents put it into their system prompt,
and so it is here: it is used only where the configuration lets clients have a part in that, and
left out elsewhere. ``state`` and ``resume`` are for agents that keep a state or interrupt a run.
Of ``forwardedProps``, ``profile`` and ``model`` are read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from chatnest.adapters.transport.ag_ui_content import CONTENT_EXPECTED, ContentBody, content_parts
from chatnest.adapters.transport.bodies import BodyFormat
from chatnest.adapters.transport.chatnest_body import LONGEST_PROFILE_NAME, MOST_MESSAGES
from chatnest.adapters.transport.conversation_checks import (
    Said,
    refuse_empty_question,
    refuse_written_nul,
)
from chatnest.adapters.transport.flaws import refuse_repeated_names
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Part, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool

LONGEST_ID: Final = 1_000
_Id = Annotated[str, Meta(max_length=LONGEST_ID)]
_Text = Annotated[str, Meta(pattern=r"\A[^\x00]*\Z")]
_NAME: Final = f"must be a text of 1 to {LONGEST_PROFILE_NAME} characters"


class SystemBody(msgspec.Struct, tag_field="role", tag="system"):
    """What the model is to keep to."""

    content: str


class DeveloperBody(SystemBody, tag_field="role", tag="developer"):
    """The same, by its newer name."""


class UserBody(msgspec.Struct, tag_field="role", tag="user"):
    """What a person said."""

    content: str | list[ContentBody]


class FunctionBody(msgspec.Struct):
    """What is called; the arguments are JSON text, as the model wrote it."""

    name: str
    arguments: str


class ToolCallBody(msgspec.Struct):
    """One call of a tool."""

    id: str
    function: FunctionBody


class AssistantBody(msgspec.Struct, tag_field="role", tag="assistant", rename="camel"):
    """What the model said and called."""

    content: str | None = None
    tool_calls: list[ToolCallBody] | None = None


class ToolResultBody(msgspec.Struct, tag_field="role", tag="tool", rename="camel"):
    """What came of a call."""

    tool_call_id: str
    content: str | list[ContentBody]
    error: str | None = None


class ReasoningBody(msgspec.Struct, tag_field="role", tag="reasoning", rename="camel"):
    """What the model thought before the next assistant message; the value is its seal."""

    content: str
    encrypted_value: str | None = None
    metadata: dict[str, Any] | None = None


class ActivityBody(msgspec.Struct, tag_field="role", tag="activity"):
    """What the page shows of the agent's doings; not for the model."""


MessageBody = (
    SystemBody
    | DeveloperBody
    | UserBody
    | AssistantBody
    | ToolResultBody
    | ReasoningBody
    | ActivityBody
)


class ToolBody(msgspec.Struct):
    """A tool that the page runs."""

    name: Annotated[str, Meta(min_length=1, pattern=r"\A[^\x00]*\Z")]
    description: str = ""
    parameters: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class ContextBody(msgspec.Struct):
    """One thing that the model is to know."""

    description: _Text
    value: _Text


class RunBody(msgspec.Struct, rename="camel"):
    """The whole body."""

    thread_id: _Id
    run_id: _Id
    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=MOST_MESSAGES)]
    tools: list[ToolBody] | None = None
    context: list[ContextBody] | None = None
    forwarded_props: Any = None


@dataclass(frozen=True, slots=True)
class Run:
    """A decoded body: what is asked, and the ids that the answer's events carry."""

    request: ChatRequest
    thread_id: str
    run_id: str


_AN_ID: Final = f"must be a text of at most {LONGEST_ID} characters"
_FORMAT = BodyFormat(
    RunBody,
    {
        "": 'the body must be a JSON object with "threadId", "runId" and "messages"',
        "threadId": _AN_ID,
        "runId": _AN_ID,
        "messages": f"must be a list of 1 to {MOST_MESSAGES} messages",
        "messages[]": 'must be an object with "role" and "content"',
        "messages[].role": "must be a role of AG-UI's",
        "messages[].content": "must be a text, or a list of parts",
        **{f"messages[].content[]{path}": must for path, must in CONTENT_EXPECTED.items()},
        "messages[].toolCallId": "must be the id of a call",
        "messages[].toolCalls": 'must be a list of calls, each with "id" and "function"',
        "tools": 'must be a list of tools, each with "name" and "description"',
        "tools[].name": "must be a text that is not empty",
        "context": 'must be a list of objects with "description" and "value"',
    },
)


def decode_run(body: bytes) -> Run:
    """The run in *body*; names that it does not know are ignored.

    Raises:
        InvalidRequestError: *body* is no such run.
    """
    run = _FORMAT.decode(body)
    refuse_repeated_names(body)
    said = list(_said(run.messages))
    refuse_written_nul(said)
    refuse_empty_question(reversed(said), results_are_enough=True)
    request = ChatRequest(
        messages=tuple([message for _, message in said]),
        profile=_property(run.forwarded_props, "profile"),
        model=_property(run.forwarded_props, "model"),
        system_prompt=_context(run.context or ()),
        tools=tuple([_tool(tool) for tool in run.tools or ()]),
    )
    return Run(request, run.thread_id, run.run_id)


def _said(messages: Sequence[MessageBody]) -> Iterator[Said]:
    """The messages for the model; a thought is part of the assistant message that follows it."""
    thoughts: list[Part] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}].content"
        match message:
            case ReasoningBody():
                thoughts.append(_thought(message))
                continue
            case ActivityBody():
                continue
            case SystemBody(content=content):
                yield path, Message(Role.SYSTEM, content)
            case UserBody(content=content):
                yield path, Message.of_parts(Role.USER, content_parts(content, path))
            case AssistantBody():
                yield path, _answer(message, thoughts)
            case ToolResultBody():
                yield path, _result(message, path)
        thoughts = []


def _thought(message: ReasoningBody) -> ReasoningPart:
    ours = (message.metadata or {}).get("chatnest")
    redacted = isinstance(ours, Mapping) and ours.get("redacted") is True
    return ReasoningPart(message.content, message.encrypted_value, redacted)


def _answer(message: AssistantBody, thoughts: list[Part]) -> Message:
    texts: list[Part] = [TextPart(message.content)] if message.content else []
    calls = [
        ToolCall(call.id, call.function.name, call.function.arguments)
        for call in message.tool_calls or ()
    ]
    return Message.of_parts(Role.ASSISTANT, [*thoughts, *texts], tool_calls=tuple(calls))


def _result(message: ToolResultBody, path: str) -> Message:
    content = message.content or message.error or ""
    return Message.of_parts(
        Role.TOOL,
        content_parts(content, path),
        tool_call_id=message.tool_call_id,
        is_error=message.error is not None,
    )


def _tool(tool: ToolBody) -> Tool:
    schema = bytes(tool.parameters)
    if schema in (b"", b"null"):
        return Tool(tool.name, tool.description)
    return Tool(tool.name, tool.description, schema.decode())


def _context(context: Sequence[ContextBody]) -> str | None:
    return "\n\n".join([f"{item.description}:\n{item.value}" for item in context]) or None


def _property(properties: object, name: str) -> str | None:
    """The text *name* in *properties*, which may be any JSON."""
    value = properties.get(name) if isinstance(properties, Mapping) else None
    if value is None:
        return None
    if isinstance(value, str) and 1 <= len(value) <= LONGEST_PROFILE_NAME and "\x00" not in value:
        return value
    raise InvalidRequestError(_NAME, field=f"forwardedProps.{name}")
