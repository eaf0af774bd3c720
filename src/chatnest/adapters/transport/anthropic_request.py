"""A body of ``POST /v1/messages`` as a request."""

from typing import Final, TypeVar

import msgspec

from chatnest.adapters.transport.anthropic_body import ContextBody, MessagesBody, PromptBody
from chatnest.adapters.transport.anthropic_fields import MESSAGES
from chatnest.adapters.transport.anthropic_tools import tool_choice_of, tools_of
from chatnest.adapters.transport.anthropic_turns import placed_messages, system_messages
from chatnest.adapters.transport.bodies import BodyFormat
from chatnest.adapters.transport.conversation_checks import refuse_empty_question
from chatnest.adapters.transport.flaws import refuse_repeated_names, unreadable
from chatnest.adapters.transport.text_checks import refuse_nul
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest

WIRE: Final = "anthropic"

# These edits only shorten what the model reads, and all of it is held for: to leave them undone is
# right. Any other, such as a compaction, is work of its own that nobody has held for.
_SHORTENING: Final = "clear_"

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN: Final = frozenset(MessagesBody.__struct_encode_fields__)

_Body = TypeVar("_Body", bound=PromptBody)


def decode_messages(body: bytes) -> tuple[ChatRequest, bool]:
    """The request in *body*, and whether its answer is to be a stream.

    ``system`` becomes a message at the front: whether a client may send one is not the wire's to
    say. Fields that this wire alone has (``thinking``, ``top_k``, ``output_config``, and those
    that it will have) are the request's ``extra``.

    Raises:
        InvalidRequestError: *body* is no such request.
    """
    asked = read_body(MESSAGES, body)
    placed = placed_messages(asked.messages)
    refuse_empty_question(reversed(placed))
    extra = _extra_fields(body)
    tools = tools_of(asked)
    request = ChatRequest(
        messages=(*system_messages(asked.system), *[message for _, message in placed]),
        model=asked.model,
        wishes=Wishes(max_output_tokens=asked.max_tokens, temperature=asked.temperature),
        stop=tuple(asked.stop_sequences or ()),
        extra=extra,
        extra_wire=WIRE if extra else None,
        tools=tools,
        tool_choice=tool_choice_of(asked, tools),
        top_p=asked.top_p,
        end_user=None if asked.metadata is None else asked.metadata.user_id,
    )
    return request, bool(asked.stream)


def read_body(body_format: BodyFormat[_Body], body: bytes) -> _Body:
    """*body*, whose every text and name is fit to be passed on.

    Raises:
        InvalidRequestError: it is not, or asks for work that nothing is held for.
    """
    asked = body_format.decode(body)
    refuse_repeated_names(body)
    refuse_nul(body)
    _refuse_work_on_context(asked.context_management)
    return asked


def _refuse_work_on_context(context: ContextBody | None) -> None:
    for index, edit in enumerate(context.edits or () if context else ()):
        if not edit.type.startswith(_SHORTENING):
            reason = f'must begin with "{_SHORTENING}": others can cost more than is held for them'
            raise InvalidRequestError(reason, field=f"context_management.edits[{index}].type")


def _extra_fields(body: bytes) -> dict[str, object]:
    """The fields that no structure has; null is the same as nothing.

    How deep they are was judged when the whole body was read.
    """
    try:
        fields = _FIELDS.decode(body).items()
        values = {name: msgspec.json.decode(raw) for name, raw in fields if name not in _KNOWN}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unreadable(body) from error
    return {name: value for name, value in values.items() if value is not None}
