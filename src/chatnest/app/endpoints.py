"""Every way to ask for an answer over HTTP: each dialect with its path, and how it is described."""

from collections.abc import Iterator, Mapping
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
from chatnest.adapters.transport.chatnest import EVENT_DATA, ErrorBody
from chatnest.adapters.transport.chatnest_body import ChatBody
from chatnest.adapters.transport.openai_chat_body import ChatCompletionBody
from chatnest.adapters.transport.openai_problems import ErrorBody as OpenAIError
from chatnest.adapters.transport.openai_responses_body import ResponsesBody
from chatnest.app.config import HttpConfig
from chatnest.app.openapi import one_of_events, one_with_fields

_QUESTION: Final = "What is the capital of France?"
_ASKED: Final = [{"role": "user", "content": _QUESTION}]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path that answers in *dialect*.

    ``body`` is the type of its requests, ``example`` one of them; ``event`` is the JSON schema of
    one event of its streams, ``error`` the type of its errors, None where they are plain text.
    ``is_whole_too``: a client may ask for the answer in one piece.
    """

    path: str
    dialect: Dialect
    operation_id: str
    summary: str
    body: type
    example: Mapping[str, Any]
    event: Mapping[str, Any]
    error: type | None
    is_whole_too: bool = False


def endpoints(http: HttpConfig) -> Iterator[Endpoint]:
    """Those of the dialects that *http* mounts, each at its whole path."""
    for endpoint in _all(http):
        if _switch(endpoint.dialect) in http.dialects:
            yield endpoint


def _switch(dialect: Dialect) -> str:
    """The name by which the configuration mounts *dialect*: OpenAI's two go together."""
    return "openai" if isinstance(dialect, OpenAIResponsesDialect) else dialect.name


def _all(http: HttpConfig) -> Iterator[Endpoint]:
    own, v1 = http.path.rstrip("/"), http.v1_path.rstrip("/")
    yield Endpoint(
        f"{own}/chat",
        ChatNestDialect(),
        "chat",
        "Chat",
        ChatBody,
        {"messages": _ASKED},
        one_of_events(EVENT_DATA),
        ErrorBody,
    )
    yield Endpoint(
        f"{own}/ui/chat",
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
        one_with_fields("type"),
        None,
    )
    yield Endpoint(
        f"{v1}/chat/completions",
        OpenAIChatDialect(),
        "chat_completions",
        "Chat Completions of OpenAI",
        ChatCompletionBody,
        {"model": "gpt-4o-mini", "messages": _ASKED, "stream": True},
        one_with_fields("id", "object", "choices"),
        OpenAIError,
        is_whole_too=True,
    )
    yield Endpoint(
        f"{v1}/responses",
        OpenAIResponsesDialect(),
        "responses",
        "Responses of OpenAI",
        ResponsesBody,
        {"model": "gpt-4o-mini", "input": _QUESTION, "stream": True},
        one_with_fields("type", "sequence_number"),
        OpenAIError,
        is_whole_too=True,
    )
    yield Endpoint(
        f"{v1}/messages",
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
        one_with_fields("type"),
        AnthropicError,
        is_whole_too=True,
    )
    yield Endpoint(
        http.ag_ui_path,
        AgUiDialect(),
        "ag_ui",
        "Run of an AG-UI agent",
        RunBody,
        {
            "threadId": "thread-1",
            "runId": "run-1",
            "messages": [{"id": "1", "role": "user", "content": _QUESTION}],
        },
        one_with_fields("type"),
        None,
    )
