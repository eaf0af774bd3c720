"""What a response is made of: items and their parts, as ``POST /v1/responses`` writes them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from chatnest.adapters.transport.openai_responses_body import ResponsesBody, TextConfig
from chatnest.adapters.transport.openai_tools import tool_of

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


class _Tool(msgspec.Struct, tag_field="type", tag="function"):
    name: str
    description: str | None
    parameters: msgspec.Raw
    strict: bool | None


def repeated_fields(asked: ResponsesBody) -> dict[str, object]:
    """What a response repeats of the request that it answers."""
    tools = [
        _Tool(
            tool.name,
            tool.description,
            msgspec.Raw(
                tool_of(tool.name, None, tool.parameters, None, "tools").parameters.encode()
            ),
            tool.strict,
        )
        for tool in asked.tools or ()
    ]
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
        "tools": tools,
        "top_p": asked.top_p,
        "truncation": asked.truncation or "disabled",
        "user": asked.user,
    }


def _text(wanted: TextConfig | None) -> dict[str, object]:
    text: dict[str, object] = {"format": {"type": "text"}}
    if wanted is not None and wanted.format is not None and wanted.format.type != "text":
        text["format"] = wanted.format
    if wanted is not None and wanted.verbosity is not None:
        text["verbosity"] = wanted.verbosity
    return text
