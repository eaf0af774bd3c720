"""How a question is asked in each dialect, and where."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MODEL: Final = "gpt-4o-mini"

Turns = Sequence[tuple[str, str]]
"""Roles and texts, the question last."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A *path*, and how *body* writes turns for it."""

    name: str
    path: str
    body: Callable[[Turns], object]


def _chatnest(turns: Turns) -> object:
    return {"messages": _numbered(turns)}


def _openai(turns: Turns) -> object:
    return {
        "model": MODEL,
        "messages": [{"role": role, "content": text} for role, text in turns],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _anthropic(turns: Turns) -> object:
    return {
        "model": MODEL,
        "max_tokens": 1_000,
        "messages": [{"role": role, "content": text} for role, text in turns],
        "stream": True,
    }


def _ai_sdk(turns: Turns) -> object:
    messages = [
        {"id": str(number), "role": role, "parts": [{"type": "text", "text": text}]}
        for number, (role, text) in enumerate(turns)
    ]
    return {"id": "chat", "messages": messages, "trigger": "submit-message"}


def _ag_ui(turns: Turns) -> object:
    return {
        "threadId": "thread",
        "runId": "run",
        "state": {},
        "messages": _numbered(turns),
        "tools": [],
        "context": [],
        "forwardedProps": {},
    }


def _numbered(turns: Turns) -> list[dict[str, str]]:
    return [
        {"id": str(number), "role": role, "content": text}
        for number, (role, text) in enumerate(turns)
    ]


CHATNEST: Final = Dialect("chatnest", "/api/chat", _chatnest)
OPENAI: Final = Dialect("openai", "/v1/chat/completions", _openai)
ANTHROPIC: Final = Dialect("anthropic", "/v1/messages", _anthropic)
AI_SDK: Final = Dialect("ai-sdk", "/api/ui/chat", _ai_sdk)
AG_UI: Final = Dialect("ag-ui", "/agui", _ag_ui)

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {dialect.name: dialect for dialect in (CHATNEST, OPENAI, ANTHROPIC, AI_SDK, AG_UI)}
)


def question(dialect: Dialect, *, history: int = 1, prompt_bytes: int = 0) -> tuple[bytes, bytes]:
    """A body of *history* messages: what stands before the last words of its question, and after.

    The question is of about *prompt_bytes* already.
    """
    earlier = [
        ("user" if number % 2 == 0 else "assistant", f"This was said before, as number {number}.")
        for number in range(history - 1 - (history - 1) % 2)
    ]
    filler = "This is a sentence of nine words in it. " * (prompt_bytes // 40)
    body = json.dumps(dialect.body([*earlier, ("user", filler + "\x00")]), separators=(",", ":"))
    before, _, after = body.partition("\\u0000")
    return before.encode(), after.encode()
