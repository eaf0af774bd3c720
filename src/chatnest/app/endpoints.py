"""Every way to ask for an answer over HTTP: each dialect with its path, and how it is described."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chatnest.adapters.transport import (
    AgUiDialect,
    AiSdkDialect,
    AnthropicDialect,
    ChatNestDialect,
    Dialect,
    OpenAIChatDialect,
    OpenAIResponsesDialect,
)
from chatnest.adapters.transport.ag_ui_body import RunBody
from chatnest.adapters.transport.ai_sdk_body import UiChatBody
from chatnest.adapters.transport.anthropic_body import MessagesBody
from chatnest.adapters.transport.anthropic_problems import ErrorBody as AnthropicError
from chatnest.adapters.transport.chatnest import ErrorBody
from chatnest.adapters.transport.chatnest_body import ChatBody
from chatnest.adapters.transport.openai_chat_body import ChatCompletionBody
from chatnest.adapters.transport.openai_problems import ErrorBody as OpenAIError
from chatnest.adapters.transport.openai_responses_body import ResponsesBody
from chatnest.app import answer_schemas
from chatnest.app.config import HttpConfig
from chatnest.app.http_paths import paths_of
from chatnest.app.json_schemas import JsonSchema

_QUESTION: Final = "What is the capital of France?"
_ASKED: Final = [{"role": "user", "content": _QUESTION}]

# What a request can be answered with before its stream begins: of a provider that fails, a stream
# itself tells.
_BEFORE_A_STREAM: Final = (400, 401, 403, 409, 429, 500, 503)
_OPENAI: Final = (*_BEFORE_A_STREAM, 413, 502, 504)
_ANTHROPIC: Final = (*_OPENAI, 529)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path that answers in *dialect*.

    ``body`` is the type of its requests, ``example`` one of them; ``event`` gives the JSON schema
    of one event of its streams, ``whole`` that of an answer in one piece, None where there is no
    such. ``error`` is the type of its errors, None where they are plain text; each has one of
    ``statuses``.
    """

    path: str
    dialect: Dialect
    operation_id: str
    summary: str
    body: type
    example: Mapping[str, Any]
    event: Callable[[], JsonSchema]
    whole: Callable[[], JsonSchema] | None
    error: type | None
    statuses: tuple[int, ...]


def endpoints(http: HttpConfig) -> Iterator[Endpoint]:
    """Those of the dialects that *http* mounts, each at its whole path."""
    for endpoint in _all(http):
        if _switch(endpoint.dialect) in http.dialects:
            yield endpoint


def _switch(dialect: Dialect) -> str:
    """The name by which the configuration mounts *dialect*: OpenAI's two go together."""
    return "openai" if isinstance(dialect, OpenAIResponsesDialect) else dialect.name


def _all(http: HttpConfig) -> Iterator[Endpoint]:
    paths = paths_of(http)
    yield Endpoint(
        paths.chat,
        ChatNestDialect(),
        "chat",
        "Chat",
        ChatBody,
        {"messages": _ASKED},
        answer_schemas.chatnest_event,
        None,
        ErrorBody,
        _BEFORE_A_STREAM,
    )
    yield Endpoint(
        paths.ui_chat,
        AiSdkDialect(),
        "ui_chat",
        "Chat of the AI SDK's useChat",
        UiChatBody,
        {
            "id": "chat-1",
            "messages": [
                {"id": "1", "role": "user", "parts": [{"type": "text", "text": _QUESTION}]}
            ],
            "trigger": "submit-message",
        },
        answer_schemas.ai_sdk_event,
        None,
        None,
        _BEFORE_A_STREAM,
    )
    yield Endpoint(
        paths.chat_completions,
        OpenAIChatDialect(),
        "chat_completions",
        "Chat Completions of OpenAI",
        ChatCompletionBody,
        {"model": "gpt-4o-mini", "messages": _ASKED, "stream": True},
        answer_schemas.chat_completion_event,
        answer_schemas.chat_completion,
        OpenAIError,
        _OPENAI,
    )
    yield Endpoint(
        paths.responses,
        OpenAIResponsesDialect(),
        "responses",
        "Responses of OpenAI",
        ResponsesBody,
        {"model": "gpt-4o-mini", "input": _QUESTION, "stream": True},
        answer_schemas.response_event,
        answer_schemas.response,
        OpenAIError,
        _OPENAI,
    )
    yield Endpoint(
        paths.messages,
        AnthropicDialect(),
        "messages",
        "Messages of Anthropic",
        MessagesBody,
        {
            "model": "claude-haiku-4-5",
            "max_tokens": 400,
            "messages": _ASKED,
            "stream": True,
        },
        answer_schemas.message_event,
        answer_schemas.message,
        AnthropicError,
        _ANTHROPIC,
    )
    yield Endpoint(
        paths.ag_ui,
        AgUiDialect(),
        "ag_ui",
        "Run of an AG-UI agent",
        RunBody,
        {
            "threadId": "thread-1",
            "runId": "run-1",
            "messages": [{"id": "1", "role": "user", "content": _QUESTION}],
        },
        answer_schemas.ag_ui_event,
        None,
        ErrorBody,
        _BEFORE_A_STREAM,
    )
