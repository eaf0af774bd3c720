"""A conversation on Anthropic's wire: turns of content blocks, and the system prompt apart."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)

Block = dict[str, object]

# The media types that Anthropic reads.
_DATA_URL = re.compile(r"data:(image/(?:gif|jpeg|png|webp));base64", re.IGNORECASE)
_ILLUSTRATED = frozenset({Role.USER, Role.TOOL})
_OBJECTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def system_blocks(messages: Iterable[Message]) -> list[Block]:
    """The texts of all system messages in their order, each a block of its own."""
    return [
        block for message in messages if message.role is Role.SYSTEM for block in _content(message)
    ]


def turns(messages: Sequence[Message]) -> list[dict[str, object]]:
    """Everything else that was said, the turns of one speaker in a row taken together.

    What says nothing is left out, since Anthropic refuses blank texts.

    Raises:
        ProviderError: Anthropic cannot be told this conversation (``invalid_request``).
    """
    spoken: list[tuple[str, list[Block]]] = []
    for message in messages:
        blocks = [] if message.role is Role.SYSTEM else _blocks(message)
        if not blocks:
            continue
        if not spoken and message.role is not Role.USER:
            raise refused("a conversation must begin with a message of the user")
        speaker = "assistant" if message.role is Role.ASSISTANT else "user"
        if spoken and spoken[-1][0] == speaker:
            spoken[-1][1].extend(blocks)
        else:
            spoken.append((speaker, blocks))
    # Without its blank last message a conversation would ask for something else.
    if not spoken or not _blocks(messages[-1]):
        raise refused("the last message says nothing")
    return [{"role": speaker, "content": _results_first(blocks)} for speaker, blocks in spoken]


def json_object(text: str, what: str) -> dict[str, msgspec.Raw]:
    """The members of the JSON object that *text* is, none of them read further.

    Raises:
        ProviderError: it is none (``invalid_request``).
    """
    try:
        return _OBJECTS.decode(text)
    except (ValueError, RecursionError) as error:
        raise refused(f"{what} are no JSON object") from error


def refused(reason: str) -> ProviderError:
    """What to raise for a call that was not sent, because Anthropic would refuse it."""
    return ProviderError(reason, Failure(FailureKind.INVALID_REQUEST, billable=False))


def _blocks(message: Message) -> list[Block]:
    content = _content(message)
    if message.role is Role.TOOL:
        return [_tool_result(message, content)]
    return content + [_tool_use(call) for call in message.tool_calls]


def _content(message: Message) -> list[Block]:
    parts = message.parts or (TextPart(message.content),)
    blocks = [_block(part, message.role) for part in parts]
    return [block for block in blocks if block is not None]


def _block(part: Part, role: Role) -> Block | None:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text} if text.strip() else None
        case ImagePart(url):
            if role not in _ILLUSTRATED:
                raise refused("only messages of the user and of tools may hold pictures")
            return {"type": "image", "source": _image_source(url)}
        case ReasoningPart():
            return _thought(part)


def _thought(part: ReasoningPart) -> Block | None:
    # Anthropic takes back the thoughts that it has sealed, and refuses every other: one without a
    # seal is another provider's, and the model answers without it.
    if not part.signature:
        return None
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.signature}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _image_source(url: str) -> Block:
    if url[:8].lower() == "https://":
        return {"type": "url", "url": url}
    head, _, data = url.partition(",")
    media_type = _DATA_URL.fullmatch(head)
    if media_type is None or not data:
        raise refused("a picture must be an https address, or a GIF, JPEG, PNG or WebP in base64")
    return {"type": "base64", "media_type": media_type[1].lower(), "data": data}


def _tool_use(call: ToolCall) -> Block:
    arguments = call.arguments.strip() or "{}"
    json_object(arguments, "the arguments of a tool call")
    raw = msgspec.Raw(arguments.encode())
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": raw}


def _tool_result(message: Message, content: list[Block]) -> Block:
    result: Block = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    if content:
        result["content"] = content
    if message.is_error:
        result["is_error"] = True
    return result


def _results_first(blocks: list[Block]) -> list[Block]:
    """*blocks* as Anthropic wants them: the results of tools before what else the user says."""
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")
