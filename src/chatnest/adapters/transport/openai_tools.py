"""The rules that both of OpenAI's request wires have for tools, calls and their results."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from chatnest.adapters.transport.conversation_checks import Said
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Role
from chatnest.domain.tools import Tool, ToolChoice, ToolMode

_NO_PARAMETERS: Final = Tool("").parameters
_SCHEMAS: Final = msgspec.json.Decoder(dict[str, object] | None)


def tool_of(
    name: str, description: str | None, parameters: msgspec.Raw, strict: bool | None, field: str
) -> Tool:
    """A tool whose *parameters*, the value of *field*, are kept as the text that came.

    Raises:
        InvalidRequestError: they are no JSON object.
    """
    given = schema_of(parameters, field) is not None
    text = bytes(parameters).decode("utf-8") if given else _NO_PARAMETERS
    return Tool(name, description or "", text, strict)


def schema_of(raw: msgspec.Raw, field: str) -> dict[str, object] | None:
    """The JSON Schema in *raw*, the value of *field*; None where nothing, or null, is given.

    Raises:
        InvalidRequestError: it is no JSON object.
    """
    try:
        return _SCHEMAS.decode(raw) if bytes(raw) else None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequestError("must be a JSON Schema of an object", field=field) from error


def tool_choice_of(
    tools: Sequence[Tool], mode: str | None, name: str | None, parallel: bool | None
) -> ToolChoice | None:
    """How *tools* are to be used; *name* is the one that must be.

    Without tools there is nothing to choose, and None says so.

    Raises:
        InvalidRequestError: a tool must be called that is not there.
    """
    if name is not None and name not in {tool.name for tool in tools}:
        raise InvalidRequestError('must name a function of "tools"', field="tool_choice")
    if not tools:
        if mode == ToolMode.REQUIRED:
            raise InvalidRequestError('must not be "required" without "tools"', field="tool_choice")
        return None
    if name is not None:
        return ToolChoice(ToolMode.REQUIRED, name, parallel)
    if mode is None and parallel is None:
        return None
    return ToolChoice(ToolMode(mode or ToolMode.AUTO), parallel=parallel)


def refuse_open_calls(conversation: Iterable[Said]) -> None:
    """Refuse a *conversation* in which a call has no result, or a result no call.

    The results of an assistant's calls follow it at once, in any order, one for each call.

    Raises:
        InvalidRequestError: they do not; names where.
    """
    asked_at, unanswered = "", set[str]()
    for path, message in conversation:
        if message.role is Role.TOOL:
            if message.tool_call_id not in unanswered:
                reason = "is the result of no call that is still open in the message before"
                raise InvalidRequestError(reason, field=path)
            unanswered.discard(message.tool_call_id)
            continue
        _refuse_unanswered(asked_at, unanswered)
        asked_at, unanswered = path, {call.id for call in message.tool_calls}
        if len(unanswered) != len(message.tool_calls):
            raise InvalidRequestError("has two tool calls with one id", field=path)
    _refuse_unanswered(asked_at, unanswered)


def _refuse_unanswered(asked_at: str, unanswered: set[str]) -> None:
    if unanswered:
        raise InvalidRequestError(
            "has tool calls, and must be followed by the result of each of them", field=asked_at
        )
