"""A body of ``POST /v1/chat/completions`` as the domain's request."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

import msgspec

from chatnest.adapters.transport.conversation_checks import latest_texts, refuse_empty_question
from chatnest.adapters.transport.flaws import NESTED_TOO_DEEPLY, refuse_repeated_names, unreadable
from chatnest.adapters.transport.image_urls import image_part
from chatnest.adapters.transport.openai_chat_body import (
    FORMAT,
    KNOWN_FIELDS,
    AssistantBody,
    ChatCompletionBody,
    DeveloperBody,
    ImageBody,
    ImageUrl,
    MessageBody,
    RefusalBody,
    SystemBody,
    TextBody,
    ToolBody,
    UserBody,
)
from chatnest.adapters.transport.openai_tools import refuse_open_calls, tool_choice_of, tool_of
from chatnest.adapters.transport.text_checks import refuse_nul
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool

EXTRA_WIRE: Final = "openai"

_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_chat_completion(body: bytes) -> tuple[ChatRequest, ChatCompletionBody]:
    """The request in *body*, and the body itself, which says how the answer is to be written.

    Fields that it does not know, and that are not null, go into the request's ``extra``, as the
    values that they are. ``max_tokens`` and ``max_completion_tokens`` are one cap: the lower of
    the two.

    Raises:
        InvalidRequestError: *body* is no such request, or asks for what cannot be given.
    """
    asked = FORMAT.decode(body)
    refuse_repeated_names(body)
    refuse_nul(body)
    _refuse_what_is_not_given(asked)
    messages = _messages(asked.messages)
    tools = _tools(asked)
    choice, mode, name = asked.tool_choice, None, None
    if isinstance(choice, str):
        mode = choice
    elif choice is not None:
        name = choice.function.name
    stop = asked.stop or ()
    request = ChatRequest(
        messages=messages,
        model=asked.model,
        wishes=Wishes(
            max_output_tokens=_lower(asked.max_tokens, asked.max_completion_tokens),
            temperature=asked.temperature,
        ),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        extra=(extra := _extra(body)),
        extra_wire=EXTRA_WIRE if extra else None,
        tools=tools,
        tool_choice=tool_choice_of(tools, mode, name, asked.parallel_tool_calls),
        top_p=asked.top_p,
        end_user=asked.safety_identifier or asked.user or None,
    )
    return request, asked


def _refuse_what_is_not_given(asked: ChatCompletionBody) -> None:
    if asked.store:
        raise InvalidRequestError("must be false: no answer is stored", field="store")
    if asked.logprobs:
        raise InvalidRequestError(
            "must be false: probabilities of tokens are not given", field="logprobs"
        )


def _lower(first: int | None, second: int | None) -> int | None:
    return min([cap for cap in (first, second) if cap is not None], default=None)


def _extra(body: bytes) -> Mapping[str, object]:
    """What else the body says; null is the same as nothing."""
    fields = _RAW_FIELDS.decode(body)
    unknown = {name: raw for name, raw in fields.items() if name not in KNOWN_FIELDS}
    try:
        values = {name: msgspec.json.decode(raw) for name, raw in unknown.items()}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(body) from error
    except RecursionError as error:
        raise InvalidRequestError(NESTED_TOO_DEEPLY) from error
    return {name: value for name, value in values.items() if value is not None}


def _tools(asked: ChatCompletionBody) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, tool in enumerate(asked.tools or ()):
        function, field = tool.function, f"tools[{index}].function.parameters"
        tools.append(
            tool_of(
                function.name, function.description, function.parameters, function.strict, field
            )
        )
    return tuple(tools)


def _messages(said: list[MessageBody]) -> tuple[Message, ...]:
    messages = tuple(
        [_message(message, f"messages[{index}]") for index, message in enumerate(said)]
    )
    refuse_open_calls((f"messages[{index}]", message) for index, message in enumerate(messages))
    refuse_empty_question(latest_texts(messages))
    return messages


def _message(said: MessageBody, path: str) -> Message:
    match said:
        case SystemBody(content=content) | DeveloperBody(content=content):
            return Message.of_parts(Role.SYSTEM, _parts(content, path))
        case UserBody(content=content):
            return Message.of_parts(Role.USER, _parts(content, path))
        case ToolBody(content=content, tool_call_id=call_id):
            return Message.of_parts(Role.TOOL, _parts(content, path), tool_call_id=call_id)
        case AssistantBody():
            return _answer(said, path)
        case _:
            assert_never(said)


def _answer(said: AssistantBody, path: str) -> Message:
    """What a model said: its refusal is part of it, and its thoughts go before it."""
    calls = [
        ToolCall(call.id, call.function.name, call.function.arguments)
        for call in said.tool_calls or ()
    ]
    if said.content is None and said.refusal is None and not calls:
        raise InvalidRequestError(
            'must be a text or a list of parts, where there is neither "tool_calls" nor "refusal"',
            field=f"{path}.content",
        )
    parts = _parts(said.content or "", path)
    if said.refusal:
        parts.append(TextPart(said.refusal))
    if said.reasoning_content:
        parts.insert(0, ReasoningPart(said.reasoning_content))
    return Message.of_parts(Role.ASSISTANT, parts, tool_calls=tuple(calls))


def _parts(
    content: str | list[TextBody] | list[TextBody | ImageBody] | list[TextBody | RefusalBody],
    path: str,
) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    parts: list[Part] = []
    for index, part in enumerate(content):
        match part:
            case TextBody(text=text) | RefusalBody(refusal=text):
                parts.append(TextPart(text))
            case ImageBody(image_url=image):
                parts.append(_image(image, f"{path}.content[{index}].image_url.url"))
            case _:
                assert_never(part)
    return parts


def _image(image: ImageUrl, field: str) -> ImagePart:
    detail = None if image.detail == "auto" else image.detail
    return replace(image_part(image.url, field), detail=detail)
