"""The body of ``POST /api/chat``, as the npm client sends it."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from chatnest.adapters.transport.bodies import BodyFormat
from chatnest.adapters.transport.conversation_checks import latest_texts, refuse_empty_question
from chatnest.adapters.transport.flaws import refuse_repeated_names
from chatnest.adapters.transport.text_checks import refuse_nul
from chatnest.domain.messages import Message, Role
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest

MOST_MESSAGES: Final = 2_000
LONGEST_PROFILE_NAME: Final = 100
LONGEST_MODEL_NAME: Final = 200
# The largest whole number that a JavaScript client can count to without gaps.
LARGEST_LIMIT: Final = 2**53 - 1

_Limit = Annotated[int, Meta(ge=1, le=LARGEST_LIMIT)]
_ProfileName = Annotated[str, Meta(min_length=1, max_length=LONGEST_PROFILE_NAME)]
_ModelName = Annotated[str, Meta(min_length=1, max_length=LONGEST_MODEL_NAME)]


class MessageBody(msgspec.Struct, gc=False):
    """One message; a client's other fields, as its id, are not read."""

    role: Literal["user", "assistant", "system"]
    content: str


class ChatBody(msgspec.Struct, rename="camel"):
    """The whole body. ``aiUsageProfile`` is an older name of ``profile``.

    ``model`` is the public name of a route; the original's clients name none.
    """

    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=MOST_MESSAGES)]
    profile: _ProfileName | None = None
    ai_usage_profile: _ProfileName | None = None
    model: _ModelName | None = None
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
        "model": (f"must be the name of a model, a text of 1 to {LONGEST_MODEL_NAME} characters"),
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
    refuse_nul(body)
    messages = tuple([Message(_ROLES[said.role], said.content) for said in chat.messages])
    refuse_empty_question(latest_texts(messages))
    return ChatRequest(
        messages=messages,
        profile=chat.ai_usage_profile if chat.profile is None else chat.profile,
        model=chat.model,
        system_prompt=chat.system_prompt or None,
        wishes=Wishes(
            tokens_per_day=chat.daily_token_limit,
            tokens_per_request=chat.max_tokens_per_request,
        ),
    )
