"""Anthropic's messages and blocks as the domain's, and the wire's rules of what answers what.

A user's message begins with the results of the calls in the assistant's message before it: each
call has one, and each result a call. Results become messages of their own, in their order; what
the user says after them is one more. A message's calls stand behind its texts and thoughts, which
keep their order.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from chatnest.adapters.transport.anthropic_body import (
    AssistantBlock,
    AssistantBody,
    Base64Source,
    ImageBlock,
    MessageBody,
    RedactedThinkingBlock,
    SystemBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    UserBlock,
    UserBody,
)
from chatnest.adapters.transport.conversation_checks import Said
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)

_MUST_ANSWER: Final = 'must begin with a "tool_result" for each "tool_use" in the message before'
_MUST_GO_ON: Final = 'must go on with a "tool_result" for each "tool_use" in the last message'

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def system_messages(system: str | Sequence[SystemBlock] | None) -> tuple[Message, ...]:
    """What stands before a conversation: one message of the system, or none."""
    return (_plain(Role.SYSTEM, system),) if system else ()


def placed_messages(said: Sequence[MessageBody]) -> list[Said]:
    """The domain's messages, each with its path in the body.

    Raises:
        InvalidRequestError: calls and results do not match, or a picture is none.
    """
    placed: list[Said] = []
    calls = _OpenCalls()
    for index, message in enumerate(said):
        path = f"messages[{index}].content"
        if isinstance(message, UserBody):
            placed += _user_messages(message.content, path, calls)
            continue
        calls.refuse_unanswered(path)
        if isinstance(message, AssistantBody):
            placed.append((path, _assistant_message(message.content, path, calls)))
        else:
            placed.append((path, _plain(Role.SYSTEM, message.content)))
    calls.refuse_unanswered("messages", _MUST_GO_ON)
    return placed


class _OpenCalls:
    """The calls of the last assistant's message that have no result yet."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def add(self, call_id: str, field: str) -> None:
        if call_id in self._open:
            raise InvalidRequestError("is the id of another call in this message", field=field)
        self._open.add(call_id)

    def answer(self, call_id: str, field: str) -> None:
        if call_id not in self._open:
            reason = "must be the id of a call in the message before, which has no other result"
            raise InvalidRequestError(reason, field=field)
        self._open.remove(call_id)

    def refuse_unanswered(self, field: str, reason: str = _MUST_ANSWER) -> None:
        if self._open:
            raise InvalidRequestError(reason, field=field)


def _user_messages(
    content: str | Sequence[UserBlock], path: str, calls: _OpenCalls
) -> Iterator[Said]:
    blocks = [TextBlock(content)] if isinstance(content, str) else content
    parts: list[Part] = []
    results = 0
    for index, block in enumerate(blocks):
        place = f"{path}[{index}]"
        if isinstance(block, ToolResultBlock):
            if parts:
                raise InvalidRequestError("must stand before what the user says", field=place)
            calls.answer(block.tool_use_id, f"{place}.tool_use_id")
            yield place, _tool_message(block, place)
            results += 1
        else:
            parts.append(_part(block, place))
    if parts or not results:
        calls.refuse_unanswered(path)
        yield path, Message.of_parts(Role.USER, parts)


def _tool_message(block: ToolResultBlock, path: str) -> Message:
    content = block.content or ""
    blocks = [TextBlock(content)] if isinstance(content, str) else content
    parts = [_part(inner, f"{path}.content[{index}]") for index, inner in enumerate(blocks)]
    return Message.of_parts(
        Role.TOOL, parts, tool_call_id=block.tool_use_id, is_error=bool(block.is_error)
    )


def _assistant_message(
    content: str | Sequence[AssistantBlock], path: str, calls: _OpenCalls
) -> Message:
    if isinstance(content, str):
        return Message(Role.ASSISTANT, content)
    parts: list[Part] = []
    made: list[ToolCall] = []
    for index, block in enumerate(content):
        match block:
            case TextBlock(text=text):
                parts.append(TextPart(text))
            case ThinkingBlock(thinking=thinking, signature=signature):
                parts.append(ReasoningPart(thinking, signature or None))
            case RedactedThinkingBlock(data=data):
                parts.append(ReasoningPart(signature=data, redacted=True))
            case ToolUseBlock():
                calls.add(block.id, f"{path}[{index}].id")
                made.append(ToolCall(block.id, block.name, json_text(block.input)))
    return Message.of_parts(Role.ASSISTANT, parts, tool_calls=tuple(made))


def json_text(value: object) -> str:
    """*value*, which came from JSON, as JSON again, without blanks between its parts."""
    return msgspec.json.encode(value).decode()


def _plain(role: Role, content: str | Sequence[SystemBlock]) -> Message:
    if isinstance(content, str):
        return Message(role, content)
    return Message.of_parts(role, [TextPart(block.text) for block in content])


def _part(block: TextBlock | ImageBlock, path: str) -> Part:
    if isinstance(block, TextBlock):
        return TextPart(block.text)
    source = block.source
    if isinstance(source, Base64Source):
        if not _is_base64(source.data):
            raise InvalidRequestError("must be a picture in base64", field=f"{path}.source.data")
        return ImagePart(f"data:{source.media_type};base64,{source.data}")
    if not source.url.startswith("https://"):
        raise InvalidRequestError("must be an https: address", field=f"{path}.source.url")
    return ImagePart(source.url)


def _is_base64(text: str) -> bool:
    """Whether *text* is base64 of anything at all; a picture's megabytes are not decoded for it."""
    padding = text.encode().translate(None, _BASE64)
    return (
        len(text) % 4 == 0
        and len(padding) < min(3, len(text))
        and text.endswith("=" * len(padding))
    )
