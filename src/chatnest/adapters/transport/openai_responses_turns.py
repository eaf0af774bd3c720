"""The items of a conversation in Responses' form as the domain's messages.

A model's thoughts, words and calls are items of their own on this wire, and one message in the
domain: everything between two things that somebody else said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar, assert_never

from chatnest.adapters.transport.conversation_checks import Said
from chatnest.adapters.transport.image_urls import image_part
from chatnest.adapters.transport.openai_responses_body import (
    InputImage,
    InputText,
    ItemBody,
    OutputRefusal,
    OutputText,
    PartBody,
    ThoughtText,
)
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

T = TypeVar("T")

_ROLES: Final = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
}


@dataclass(slots=True)
class _Answer:
    """What a model did in one turn, of the items since *path*."""

    path: str = ""
    parts: list[Part] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

    def placed(self) -> list[Said]:
        """The message that it is, if it is any."""
        if not self.path:
            return []
        calls = tuple(self.calls)
        return [(self.path, Message.of_parts(Role.ASSISTANT, self.parts, tool_calls=calls))]


def conversation_of(items: Iterable[ItemBody]) -> list[Said]:
    """The messages of *items*, each with the path of the first item that it was made of.

    Raises:
        InvalidRequestError: an item lacks what its type needs, or a picture is none.
    """
    placed: list[Said] = []
    answer = _Answer()
    for index, item in enumerate(items):
        path = f"input[{index}]"
        said = _of_others(item, path)
        if said is None:
            answer.path = answer.path or path
            _add(item, path, answer)
            continue
        placed += answer.placed()
        placed.append((path, said))
        answer = _Answer()
    return placed + answer.placed()


def _of_others(item: ItemBody, path: str) -> Message | None:
    """The message that *item* is; None for what a model did."""
    if item.type == "function_call_output":
        parts = _parts(item.output, f"{path}.output", with_pictures=True)
        call_id = _needed(item.call_id, f"{path}.call_id")
        return Message.of_parts(Role.TOOL, parts, tool_call_id=call_id)
    if item.type != "message":
        return None
    role = _ROLES[_needed(item.role, f"{path}.role")]
    if role is Role.ASSISTANT:
        return None
    with_pictures = role is Role.USER
    parts = _parts(item.content, f"{path}.content", with_pictures=with_pictures)
    return Message.of_parts(role, parts)


def _add(item: ItemBody, path: str, answer: _Answer) -> None:
    if item.type == "function_call":
        call = ToolCall(
            _needed(item.call_id, f"{path}.call_id"),
            _needed(item.name, f"{path}.name"),
            _needed(item.arguments, f"{path}.arguments"),
        )
        answer.calls.append(call)
    elif item.type == "reasoning":
        answer.parts += _thought(item)
    else:
        answer.parts += _parts(item.content, f"{path}.content", with_pictures=False)


def _thought(item: ItemBody) -> list[Part]:
    """What was thought, with its seal; one without any content was given as its seal alone."""
    content = item.content
    texts = [part.text for part in content or () if isinstance(part, ThoughtText)]
    text, seal = "".join(texts), item.encrypted_content or None
    if not text and seal is None:
        return []
    return [ReasoningPart(text, seal, redacted=content is None)]


def _parts(
    content: str | Sequence[PartBody] | None, path: str, *, with_pictures: bool
) -> list[Part]:
    if content is None:
        raise _missing(path)
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    parts = [_part(part, f"{path}[{index}]") for index, part in enumerate(content)]
    if not with_pictures and any(isinstance(part, ImagePart) for part in parts):
        raise InvalidRequestError("holds a picture, which only a user can show", field=path)
    return parts


def _part(part: PartBody, path: str) -> Part:
    match part:
        case InputText(text=text) | OutputText(text=text) | OutputRefusal(refusal=text):
            return TextPart(text)
        case InputImage(image_url=url, detail=detail):
            picture = image_part(url, f"{path}.image_url")
            return replace(picture, detail=None if detail == "auto" else detail)
        case ThoughtText():
            raise InvalidRequestError('belongs into an item of the type "reasoning"', field=path)
        case _:
            assert_never(part)


def _needed(value: T | None, path: str) -> T:
    if value is None:
        raise _missing(path)
    return value


def _missing(path: str) -> InvalidRequestError:
    return InvalidRequestError("is missing; an item of this type needs it", field=path)
