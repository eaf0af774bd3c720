"""The body of ``POST /v1/responses``: what its fields are, and what each must be.

Nothing is stored here: a conversation comes whole, as the items of ``input``, and there is nothing
to refer to. A field that is declared as null alone is one that cannot be served.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from chatnest.adapters.transport.bodies import BodyFormat
from chatnest.adapters.transport.chatnest_body import MOST_MESSAGES
from chatnest.adapters.transport.openai_chat_body import (
    CAP,
    FOR_WHOM,
    LONGEST_NAME,
    MOST_TOOLS,
    NAMED,
    NAMED_TOOL,
    Cap,
    Named,
    Temperature,
    ToolName,
    TopP,
)


class InputText(msgspec.Struct, tag_field="type", tag="input_text"):
    """A text that a model is to read."""

    text: str


class InputImage(msgspec.Struct, tag_field="type", tag="input_image"):
    """A picture that a model is to look at."""

    image_url: str
    detail: Literal["auto", "low", "high"] | None = None
    file_id: None = None


class OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    """A text that a model wrote."""

    text: str


class OutputRefusal(msgspec.Struct, tag_field="type", tag="refusal"):
    """What a model said instead of an answer."""

    refusal: str


class ThoughtText(msgspec.Struct, tag_field="type", tag="reasoning_text"):
    """What a model thought."""

    text: str


PartBody = InputText | InputImage | OutputText | OutputRefusal | ThoughtText


class ItemBody(msgspec.Struct):
    """One item of a conversation. Which fields it needs depends on its type."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[PartBody] | None = None
    call_id: Named | None = None
    name: ToolName | None = None
    arguments: str | None = None
    output: str | list[InputText | InputImage] | None = None
    encrypted_content: str | None = None


class FunctionTool(msgspec.Struct):
    """A function that a model may wish to be called."""

    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    strict: bool | None = None


class ChosenTool(msgspec.Struct):
    """The tool that must be called."""

    type: Literal["function"]
    name: ToolName


class TextFormat(msgspec.Struct):
    """The form that an answer's text must have."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    strict: bool | None = None


class TextConfig(msgspec.Struct):
    """How an answer is to be written."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(msgspec.Struct):
    """How hard a model is to think; what it thinks is given as it comes, never as a summary."""

    effort: str | None = None


class ResponsesBody(msgspec.Struct):
    """All fields that there are; another one is refused."""

    input: str | Annotated[list[ItemBody], Meta(min_length=1, max_length=MOST_MESSAGES)]
    model: Named | None = None
    instructions: str | None = None
    max_output_tokens: Cap | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool | None = None
    stream_options: dict[str, msgspec.Raw] | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=MOST_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    user: Annotated[str, Meta(max_length=LONGEST_NAME)] | None = None
    safety_identifier: Annotated[str, Meta(max_length=LONGEST_NAME)] | None = None
    include: list[Literal["reasoning.encrypted_content"]] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    service_tier: Literal["auto"] | None = None
    top_logprobs: Literal[0] | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: None = None
    conversation: None = None
    prompt: None = None


KNOWN_FIELDS: Final = frozenset(ResponsesBody.__struct_fields__)

_NOTHING_STORED = 'refers to what is stored, and nothing is; send the whole conversation as "input"'
_YES_OR_NO = "must be true or false"

FORMAT: Final = BodyFormat(
    ResponsesBody,
    {
        "": 'the body must be a JSON object with "input"',
        "input": f"must be a text, or a list of 1 to {MOST_MESSAGES} items",
        "input[]": "must be an item: an object with a type",
        "input[].type": (
            'must be "message", "function_call", "function_call_output" or "reasoning"; '
            "nothing is stored that could be referred to"
        ),
        "input[].role": 'must be "user", "assistant", "system" or "developer"',
        "input[].content": "must be a text, or a list of parts",
        "input[].content[]": "must be a part: an object with a type",
        "input[].content[].type": (
            'must be "input_text", "input_image", "output_text" or "refusal"; '
            "audio and files are not taken"
        ),
        "input[].content[].text": "must be a text",
        "input[].content[].refusal": "must be a text",
        "input[].content[].image_url": "must be a text: the address of a picture",
        "input[].content[].detail": 'must be "auto", "low" or "high"',
        "input[].content[].file_id": _NOTHING_STORED,
        "input[].call_id": NAMED,
        "input[].name": NAMED_TOOL,
        "input[].arguments": "must be a text: JSON, as the model wrote it",
        "input[].output": "must be a text, or a list of parts",
        "input[].output[]": "must be a part: an object with a type",
        "input[].output[].type": 'must be "input_text" or "input_image"; files are not taken',
        "input[].output[].text": "must be a text",
        "input[].output[].image_url": "must be a text: the address of a picture",
        "input[].output[].detail": 'must be "auto", "low" or "high"',
        "input[].output[].file_id": _NOTHING_STORED,
        "input[].encrypted_content": "must be a text, as it came",
        "model": f"{NAMED}: the name of a model of this server",
        "instructions": "must be a text",
        "max_output_tokens": CAP,
        "temperature": "must be a number from 0 to 2",
        "top_p": "must be a number from 0 to 1",
        "stream": _YES_OR_NO,
        "stream_options": "must be an object",
        "tools": f"must be a list of at most {MOST_TOOLS} tools",
        "tools[]": 'must be an object with "type" and "name"',
        "tools[].type": 'must be "function"; this server has no tools of its own',
        "tools[].name": NAMED_TOOL,
        "tools[].description": "must be a text",
        "tools[].strict": _YES_OR_NO,
        "tool_choice": 'must be "none", "auto", "required", or one function of "tools"',
        "tool_choice.type": 'must be "function"; list only the allowed ones in "tools"',
        "tool_choice.name": NAMED_TOOL,
        "parallel_tool_calls": _YES_OR_NO,
        "text": "must be an object",
        "text.format": "must be an object with a type",
        "text.format.type": 'must be "text", "json_object" or "json_schema"',
        "text.format.name": "must be a text",
        "text.format.description": "must be a text",
        "text.format.strict": _YES_OR_NO,
        "text.verbosity": 'must be "low", "medium" or "high"',
        "reasoning": "must be an object",
        "reasoning.effort": "must be a text",
        "metadata": "must be an object of texts",
        "metadata[]": "must be a text",
        "prompt_cache_key": "must be a text",
        "user": FOR_WHOM,
        "safety_identifier": FOR_WHOM,
        "include": "must be a list of texts",
        "include[]": 'must be "reasoning.encrypted_content"; nothing else can be included',
        "truncation": 'must be "auto" or "disabled"',
        "service_tier": 'must be "auto": a tier has a price of its own, which is not held',
        "top_logprobs": "must be 0: probabilities of tokens are not given",
        "store": _YES_OR_NO,
        "background": _YES_OR_NO,
        "previous_response_id": _NOTHING_STORED,
        "conversation": _NOTHING_STORED,
        "prompt": _NOTHING_STORED,
    },
)
