"""The body of ``POST /api/chat``, as the npm client sends it."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from chatnest.adapters.transport.bodies import BodyFormat
from chatnest.adapters.transport.flaws import refuse_repeated_names
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Role
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest

MOST_MESSAGES: Final = 2_000
LONGEST_PROFILE_NAME: Final = 100
# The largest whole number that a JavaScript client can count to without gaps.
LARGEST_LIMIT: Final = 2**53 - 1

_Limit = Annotated[int, Meta(ge=1, le=LARGEST_LIMIT)]
_ProfileName = Annotated[str, Meta(min_length=1, max_length=LONGEST_PROFILE_NAME)]


class MessageBody(msgspec.Struct, gc=False):
    """One message; a client's other fields, as its id, are not read."""

    role: Literal["user", "assistant", "system"]
    content: str


class ChatBody(msgspec.Struct, rename="camel"):
    """The whole body. ``aiUsageProfile`` is an older name of ``profile``."""

    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=MOST_MESSAGES)]
    profile: _ProfileName | None = None
    ai_usage_profile: _ProfileName | None = None
    system_prompt: str | None = None
    daily_token_limit: _Limit | None = None
    max_tokens_per_request: _Limit | None = None


_MUST_NAME_A_PROFILE = (
    f"must be the name of a usage profile, a text of 1 to {LONGEST_PROFILE_NAME} characters"
)
_MUST_BE_A_LIMIT = f"must be a whole number from 1 to {LARGEST_LIMIT}"
_FORMAT = BodyFormat(
    ChatBody,
    {
        "": 'the body must be a JSON object with "messages"',
        "messages": f"must be a list of 1 to {MOST_MESSAGES} messages",
        "messages[]": 'must be an object with "role" and "content"',
        "messages[].role": 'must be "user", "assistant" or "system"',
        "messages[].content": "must be a text",
        "profile": _MUST_NAME_A_PROFILE,
        "aiUsageProfile": _MUST_NAME_A_PROFILE,
        "systemPrompt": "must be a text",
        "dailyTokenLimit": _MUST_BE_A_LIMIT,
        "maxTokensPerRequest": _MUST_BE_A_LIMIT,
    },
)
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


def decode_chat(body: bytes) -> ChatRequest:
    """The request in *body*; names that it does not know are ignored.

    ``profile`` goes before ``aiUsageProfile``. Messages with the role ``system`` are passed on
    as they are: whether a client may send them is not the wire's to say.

    Raises:
        InvalidRequestError: *body* is no such request.
    """
    chat = _FORMAT.decode(body)
    refuse_repeated_names(body)
    _refuse_nul(chat)
    _refuse_empty_question(chat.messages)
    return ChatRequest(
        messages=tuple([Message(_ROLES[said.role], said.content) for said in chat.messages]),
        profile=chat.ai_usage_profile if chat.profile is None else chat.profile,
        system_prompt=chat.system_prompt or None,
        wishes=Wishes(
            tokens_per_day=chat.daily_token_limit,
            tokens_per_request=chat.max_tokens_per_request,
        ),
    )


def _refuse_nul(chat: ChatBody) -> None:
    """C code, llama.cpp's among it, ends a text at a NUL, and PostgreSQL stores none."""
    for index, said in enumerate(chat.messages):
        if "\x00" in said.content:
            raise _holds_nul(f"messages[{index}].content")
    for name, text in (
        ("profile", chat.profile),
        ("aiUsageProfile", chat.ai_usage_profile),
        ("systemPrompt", chat.system_prompt),
    ):
        if text is not None and "\x00" in text:
            raise _holds_nul(name)


def _holds_nul(field: str) -> InvalidRequestError:
    return InvalidRequestError("holds a NUL character (U+0000); remove it", field=field)


def _refuse_empty_question(messages: list[MessageBody]) -> None:
    """An answer to nothing costs as much as any.

    Earlier messages may be empty: a client that was stopped before the first token has an empty
    answer in its history.
    """
    for index in reversed(range(len(messages))):
        said = messages[index]
        if said.role == "user":
            if not said.content or said.content.isspace():
                raise InvalidRequestError(
                    "is blank; say something", field=f"messages[{index}].content"
                )
            return
    raise InvalidRequestError('must hold a message with the role "user"', field="messages")
