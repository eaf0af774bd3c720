"""The tool parts of the AI SDK's messages: one part holds a call and, later, what came of it."""

from typing import Final, Literal

import msgspec

from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Role, ToolCall

ToolState = Literal[
    "streaming",
    "done",
    "input-streaming",
    "input-available",
    "approval-requested",
    "approval-responded",
    "output-available",
    "output-error",
    "output-denied",
]
"""How far a part is; the first two are for texts and thoughts."""

_TYPE_PREFIX: Final = "tool-"
_DYNAMIC: Final = "dynamic-tool"
_DENIED: Final = "Tool call execution denied."
_TEXT = msgspec.json.Decoder(str)


class ApprovalBody(msgspec.Struct):
    """What a person said to a call that needed their approval."""

    approved: bool | None = None
    reason: str | None = None


class ToolPartBody(msgspec.Struct, rename="camel", kw_only=True):
    """The fields of a part that a call and its result are in; an empty ``Raw`` was not sent."""

    type: str
    state: ToolState | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    input: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    raw_input: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    output: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    error_text: str | None = None
    approval: ApprovalBody | None = None


def is_tool_part(part: ToolPartBody) -> bool:
    """Whether a tool's call is in *part*."""
    return part.type == _DYNAMIC or part.type.startswith(_TYPE_PREFIX)


def tool_call(part: ToolPartBody, path: str) -> ToolCall | None:
    """The call in *part*; None where the model had not finished it.

    The input that a model got wrong is given back to it as it wrote it.

    Raises:
        InvalidRequestError: the part at *path* does not say what is called, or how far it is.
    """
    if part.state == "input-streaming":
        return None
    if part.state in (None, "streaming", "done"):
        raise InvalidRequestError("must be the state of a tool call", field=f"{path}.state")
    dynamic = part.type == _DYNAMIC
    name = part.tool_name if dynamic else part.type.removeprefix(_TYPE_PREFIX)
    if not name:
        field = f"{path}.toolName" if dynamic else f"{path}.type"
        raise InvalidRequestError("must name a tool", field=field)
    if not part.tool_call_id:
        raise InvalidRequestError("must be the id of the call", field=f"{path}.toolCallId")
    given = next((raw for raw in (part.input, part.raw_input) if not _is_nothing(raw)), None)
    return ToolCall(part.tool_call_id, name, "{}" if given is None else _text_or_json(given))


def tool_result(part: ToolPartBody) -> Message | None:
    """What came of the call in *part*; None where nothing has come yet."""
    match part.state:
        case "output-available":
            return _result(part, _text_or_json(part.output))
        case "output-error":
            return _result(part, part.error_text or "", is_error=True)
        case "output-denied":
            return _denial(part)
        case "approval-responded" if part.approval and part.approval.approved is False:
            return _denial(part)
        case _:
            return None


def _denial(part: ToolPartBody) -> Message:
    reason = part.approval.reason if part.approval else None
    return _result(part, reason or _DENIED, is_error=True)


def _result(part: ToolPartBody, content: str, *, is_error: bool = False) -> Message:
    return Message(Role.TOOL, content, tool_call_id=part.tool_call_id, is_error=is_error)


def _is_nothing(raw: msgspec.Raw) -> bool:
    return bytes(raw) in (b"", b"null")


def _text_or_json(raw: msgspec.Raw) -> str:
    """A JSON string as its text, any other value as its JSON."""
    value = bytes(raw)
    return _TEXT.decode(value) if value.startswith(b'"') else value.decode()
