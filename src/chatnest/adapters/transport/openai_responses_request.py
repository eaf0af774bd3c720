"""A body of ``POST /v1/responses`` as the domain's request."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from chatnest.adapters.transport.conversation_checks import Said, refuse_empty_question
from chatnest.adapters.transport.flaws import inner_path, refuse_repeated_names
from chatnest.adapters.transport.openai_chat_request import EXTRA_WIRE
from chatnest.adapters.transport.openai_responses_body import (
    FORMAT,
    KNOWN_FIELDS,
    ResponsesBody,
    TextFormat,
)
from chatnest.adapters.transport.openai_responses_turns import conversation_of
from chatnest.adapters.transport.openai_tools import (
    refuse_open_calls,
    schema_of,
    tool_choice_of,
    tool_of,
)
from chatnest.adapters.transport.text_checks import refuse_nul
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Role
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool

_RAW_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL: Final = b"null"


def decode_response_request(body: bytes) -> tuple[ChatRequest, ResponsesBody]:
    """The request in *body*, and the body itself, which its answer repeats in part.

    What Chat Completions has under another name goes into the request's ``extra`` under that one.

    Raises:
        InvalidRequestError: *body* is no such request, or asks for what cannot be given.
    """
    asked = FORMAT.decode(body)
    refuse_repeated_names(body)
    refuse_nul(body)
    _refuse_unknown(body)
    _refuse_what_is_not_given(asked)
    tools = _tools(asked)
    choice, mode, name = asked.tool_choice, None, None
    if isinstance(choice, str):
        mode = choice
    elif choice is not None:
        name = choice.name
    request = ChatRequest(
        messages=_messages(asked),
        model=asked.model,
        wishes=Wishes(max_output_tokens=asked.max_output_tokens, temperature=asked.temperature),
        extra=(extra := _extra(asked)),
        extra_wire=EXTRA_WIRE if extra else None,
        tools=tools,
        tool_choice=tool_choice_of(tools, mode, name, asked.parallel_tool_calls),
        top_p=asked.top_p,
        end_user=asked.safety_identifier or asked.user or None,
    )
    return request, asked


def _refuse_unknown(body: bytes) -> None:
    for name, value in _RAW_FIELDS.decode(body).items():
        if name not in KNOWN_FIELDS and bytes(value) != _NULL:
            raise InvalidRequestError(
                "is not supported here; leave it out", field=inner_path("", name) or None
            )


def _refuse_what_is_not_given(asked: ResponsesBody) -> None:
    for name, wish in (("store", asked.store), ("background", asked.background)):
        if wish:
            raise InvalidRequestError("must be false: no answer is stored", field=name)


def _messages(asked: ResponsesBody) -> tuple[Message, ...]:
    placed: list[Said] = []
    if asked.instructions:
        placed.append(("instructions", Message(Role.SYSTEM, asked.instructions)))
    if isinstance(asked.input, str):
        placed.append(("input", Message(Role.USER, asked.input)))
    else:
        placed += conversation_of(asked.input)
    refuse_open_calls(placed)
    refuse_empty_question(reversed(placed), field="input")
    return tuple([message for _, message in placed])


def _tools(asked: ResponsesBody) -> tuple[Tool, ...]:
    return tuple(
        [
            tool_of(
                tool.name,
                tool.description,
                tool.parameters,
                tool.strict,
                f"tools[{index}].parameters",
            )
            for index, tool in enumerate(asked.tools or ())
        ]
    )


# The names of Chat Completions that the request is passed on with.
_OWN_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "response_format": "text.format",
        "verbosity": "text.verbosity",
        "reasoning_effort": "reasoning.effort",
    }
)


def own_field(field: str | None) -> str | None:
    """*field* as this body calls it: what no provider takes is found out under other names."""
    if field is not None and field.startswith("messages"):
        return "input"
    return _OWN_FIELDS.get(field or "", field)


def _extra(asked: ResponsesBody) -> dict[str, object]:
    text, reasoning = asked.text, asked.reasoning
    extra = {
        "response_format": None if text is None else _response_format(text.format),
        "verbosity": None if text is None else text.verbosity,
        "reasoning_effort": None if reasoning is None else reasoning.effort,
        "metadata": asked.metadata or None,
        "prompt_cache_key": asked.prompt_cache_key,
    }
    return {name: value for name, value in extra.items() if value is not None}


def _response_format(wanted: TextFormat | None) -> dict[str, object] | None:
    """The same wish in the words of Chat Completions; None for the text that it is anyway."""
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "json_object"}
    schema = schema_of(wanted.schema, "text.format.schema")
    if not wanted.name or schema is None:
        raise InvalidRequestError('must have "name" and "schema"', field="text.format")
    told = {
        "name": wanted.name,
        "schema": schema,
        "description": wanted.description,
        "strict": wanted.strict,
    }
    given = {name: value for name, value in told.items() if value is not None}
    return {"type": "json_schema", "json_schema": given}
