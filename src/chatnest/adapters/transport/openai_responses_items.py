"""What a response is made of: items and their parts, as ``POST /v1/responses`` writes them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from chatnest.adapters.transport.openai_responses_body import (
    FunctionTool,
    ResponsesBody,
    TextConfig,
)

Status = Literal["in_progress", "completed", "incomplete"]
PartKind = Literal["output_text", "refusal", "reasoning_text"]


class OutputTextPart(msgspec.Struct, tag_field="type", tag="output_text"):
    """A text of an answer."""

    text: str
    annotations: tuple[()] = ()
    logprobs: tuple[()] = ()


class RefusalPart(msgspec.Struct, tag_field="type", tag="refusal"):
    """The model's own words on why it does not answer."""

    refusal: str


class ThoughtPart(msgspec.Struct, tag_field="type", tag="reasoning_text"):
    """What the model thought aloud."""

    text: str


ItemPart = OutputTextPart | RefusalPart | ThoughtPart

PARTS: Final[Mapping[PartKind, type[ItemPart]]] = MappingProxyType(
    {"output_text": OutputTextPart, "refusal": RefusalPart, "reasoning_text": ThoughtPart}
)


class MessageItem(msgspec.Struct, tag_field="type", tag="message", kw_only=True):
    """What the model says."""

    id: str
    status: Status = "in_progress"
    role: Literal["assistant"] = "assistant"
    content: list[ItemPart] = msgspec.field(default_factory=list)


class ReasoningItem(msgspec.Struct, tag_field="type", tag="reasoning", kw_only=True):
    """What the model thinks; a thought that is given as its seal alone has no ``content``."""

    id: str
    status: Status = "in_progress"
    summary: tuple[()] = ()
    content: list[ItemPart] | msgspec.UnsetType = msgspec.field(default_factory=list)
    encrypted_content: str | msgspec.UnsetType = msgspec.UNSET


class CallItem(msgspec.Struct, tag_field="type", tag="function_call", kw_only=True):
    """The model's wish to run a function."""

    id: str
    status: Status = "in_progress"
    call_id: str
    name: str
    arguments: str = ""


Item = MessageItem | ReasoningItem | CallItem


def repeated_fields(asked: ResponsesBody) -> dict[str, object]:
    """What a response repeats of the request that it answers, as values that JSON has.

    Raw JSON would not do: an answer with half of a surrogate pair is written by the standard
    library, which cannot take any.
    """
    parallel, reasoning = asked.parallel_tool_calls, asked.reasoning
    return {
        "background": False,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": None,
        "reasoning": {"effort": None if reasoning is None else reasoning.effort, "summary": None},
        "store": False,
        "temperature": asked.temperature,
        "text": _text(asked.text),
        "tool_choice": asked.tool_choice or "auto",
        "tools": [_tool(tool) for tool in asked.tools or ()],
        "top_p": asked.top_p,
        "truncation": asked.truncation or "disabled",
        "user": asked.user,
    }


def _tool(tool: FunctionTool) -> dict[str, object]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": _value(tool.parameters),
        "strict": tool.strict,
    }


def _text(wanted: TextConfig | None) -> dict[str, object]:
    text: dict[str, object] = {"format": {"type": "text"}}
    if wanted is None:
        return text
    if wanted.format is not None:
        asked = wanted.format
        told = {
            "type": asked.type,
            "name": asked.name,
            "description": asked.description,
            "schema": _value(asked.schema),
            "strict": asked.strict,
        }
        text["format"] = {name: value for name, value in told.items() if value is not None}
    if wanted.verbosity is not None:
        text["verbosity"] = wanted.verbosity
    return text


def _value(raw: msgspec.Raw) -> object:
    return msgspec.json.decode(raw) if bytes(raw) else None
