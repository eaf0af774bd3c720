"""The body of ``POST /v1/chat/completions``: what its fields are, and what each must be.

A field that is declared here as null alone is one that cannot be served: what it costs is not
held, or what it asks for could not be given. It is refused by name, never left out in silence.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from chatnest.adapters.transport.bodies import BodyFormat
from chatnest.adapters.transport.chatnest_body import LARGEST_LIMIT, MOST_MESSAGES

MOST_TOOLS: Final = 128
MOST_STOPS: Final = 4
LONGEST_NAME: Final = 256
# OpenAI's own rule for the names of functions.
TOOL_NAME: Final = r"^[a-zA-Z0-9_-]{1,64}\Z"

Cap = Annotated[int, Meta(ge=1, le=LARGEST_LIMIT)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(ge=0, le=1)]
Named = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
ToolName = Annotated[str, Meta(pattern=TOOL_NAME)]


class TextBody(msgspec.Struct, tag_field="type", tag="text"):
    """A text among other parts."""

    text: str


class ImageUrl(msgspec.Struct):
    """Where a picture is, and how closely to look at it."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImageBody(msgspec.Struct, tag_field="type", tag="image_url"):
    """A picture among other parts."""

    image_url: ImageUrl


class RefusalBody(msgspec.Struct, tag_field="type", tag="refusal"):
    """What a model said instead of an answer."""

    refusal: str


class FunctionCall(msgspec.Struct):
    """The function that a model wished to be called, and its arguments as it wrote them."""

    name: ToolName
    arguments: str


class ToolCallBody(msgspec.Struct):
    """A model's wish to run a function."""

    id: Named
    function: FunctionCall
    type: Literal["function"] = "function"


class SystemBody(msgspec.Struct, tag_field="role", tag="system"):
    """What the developer tells the model."""

    content: str | list[TextBody]
    name: None = None


class DeveloperBody(msgspec.Struct, tag_field="role", tag="developer"):
    """The same, under its newer name."""

    content: str | list[TextBody]
    name: None = None


class UserBody(msgspec.Struct, tag_field="role", tag="user"):
    """What a person says and shows."""

    content: str | list[TextBody | ImageBody]
    name: None = None


class AssistantBody(msgspec.Struct, tag_field="role", tag="assistant"):
    """What a model answered."""

    content: str | list[TextBody | RefusalBody] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallBody] | None = None
    name: None = None
    audio: None = None
    function_call: None = None


class ToolBody(msgspec.Struct, tag_field="role", tag="tool"):
    """What a function gave back. A ``name`` only repeats the call's, and is not read."""

    content: str | list[TextBody]
    tool_call_id: Named


MessageBody = SystemBody | DeveloperBody | UserBody | AssistantBody | ToolBody


class FunctionBody(msgspec.Struct):
    """A function that a model may wish to be called."""

    name: ToolName
    description: str | None = None
    parameters: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    strict: bool | None = None


class ToolDefinition(msgspec.Struct):
    """One of the caller's tools."""

    type: Literal["function"]
    function: FunctionBody


class ChosenFunction(msgspec.Struct):
    """The name of the function to call."""

    name: ToolName


class ChosenTool(msgspec.Struct):
    """The tool that must be called."""

    type: Literal["function"]
    function: ChosenFunction


class StreamOptions(msgspec.Struct):
    """What is in a stream beside its answer."""

    include_usage: bool | None = None


class ChatCompletionBody(msgspec.Struct):
    """The fields that are understood; the names of all others are for the provider to know."""

    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=MOST_MESSAGES)]
    model: Named | None = None
    max_tokens: Cap | None = None
    max_completion_tokens: Cap | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stop: (
        Annotated[str, Meta(min_length=1)]
        | Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=MOST_STOPS)]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[ToolDefinition], Meta(max_length=MOST_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    user: Annotated[str, Meta(max_length=LONGEST_NAME)] | None = None
    safety_identifier: Annotated[str, Meta(max_length=LONGEST_NAME)] | None = None
    n: Literal[1] | None = None
    store: bool | None = None
    logprobs: bool | None = None
    modalities: list[Literal["text"]] | None = None
    service_tier: Literal["auto"] | None = None
    audio: None = None
    best_of: None = None
    function_call: None = None
    functions: None = None
    moderation: None = None
    n_cmpl: None = None
    n_predict: None = None
    prediction: None = None
    top_logprobs: Literal[0] | None = None
    web_search_options: None = None


KNOWN_FIELDS: Final = frozenset(ChatCompletionBody.__struct_fields__)

CAP: Final = f"must be a whole number from 1 to {LARGEST_LIMIT}"
NAMED: Final = f"must be a text of 1 to {LONGEST_NAME} characters"
NAMED_TOOL: Final = "must be 1 to 64 letters, digits, underscores and dashes"
FOR_WHOM: Final = f"must be a text of at most {LONGEST_NAME} characters"
COSTLY: Final = "is not supported: what it costs is not held for an answer; leave it out"
_NO_NAME = "cannot be passed on to every model; leave it out, or say it in the content"
_ONE_ANSWER = "must be 1: one request is held for one answer"
_OLD_WAY = 'is an older way to use tools; use "tools" and "tool_choice"'

FORMAT: Final = BodyFormat(
    ChatCompletionBody,
    {
        "": 'the body must be a JSON object with "messages"',
        "messages": f"must be a list of 1 to {MOST_MESSAGES} messages",
        "messages[]": 'must be an object with "role" and "content"',
        "messages[].role": (
            'must be "system", "developer", "user", "assistant" or "tool"; "function" is an older '
            'way to use tools: use "tool"'
        ),
        "messages[].content": "must be a text, or a list of parts",
        "messages[].content[]": "must be a part: an object with a type",
        "messages[].content[].type": (
            'must be "text", "image_url" in what a user says, or "refusal" in what an assistant '
            "said; audio and files are not taken"
        ),
        "messages[].content[].text": "must be a text",
        "messages[].content[].refusal": "must be a text",
        "messages[].content[].image_url": 'must be an object with "url"',
        "messages[].content[].image_url.url": "must be a text",
        "messages[].content[].image_url.detail": 'must be "auto", "low" or "high"',
        "messages[].name": _NO_NAME,
        "messages[].refusal": "must be a text",
        "messages[].reasoning_content": "must be a text",
        "messages[].audio": "is not supported: audio is not taken",
        "messages[].function_call": 'is an older way to use tools; use "tool_calls"',
        "messages[].tool_call_id": f"{NAMED}: the id of the call that it answers",
        "messages[].tool_calls": "must be a list of tool calls",
        "messages[].tool_calls[]": 'must be an object with "id", "type" and "function"',
        "messages[].tool_calls[].id": NAMED,
        "messages[].tool_calls[].type": 'must be "function"; custom tools are not taken',
        "messages[].tool_calls[].function": 'must be an object with "name" and "arguments"',
        "messages[].tool_calls[].function.name": NAMED_TOOL,
        "messages[].tool_calls[].function.arguments": "must be a text: JSON, as the model wrote it",
        "model": f"{NAMED}: the name of a model of this server",
        "max_tokens": CAP,
        "max_completion_tokens": CAP,
        "temperature": "must be a number from 0 to 2",
        "top_p": "must be a number from 0 to 1",
        "stop": f"must be a text, or a list of at most {MOST_STOPS}",
        "stop[]": "must be a text that is not empty",
        "stream": "must be true or false",
        "stream_options": "must be an object",
        "stream_options.include_usage": "must be true or false",
        "tools": f"must be a list of at most {MOST_TOOLS} tools",
        "tools[]": 'must be an object with "type" and "function"',
        "tools[].type": 'must be "function"; custom tools are not taken',
        "tools[].function": 'must be an object with "name"',
        "tools[].function.name": NAMED_TOOL,
        "tools[].function.description": "must be a text",
        "tools[].function.strict": "must be true or false",
        "tool_choice": 'must be "none", "auto", "required", or one function of "tools"',
        "tool_choice.type": 'must be "function"; list only the allowed ones in "tools"',
        "tool_choice.function": 'must be an object with "name"',
        "tool_choice.function.name": NAMED_TOOL,
        "parallel_tool_calls": "must be true or false",
        "user": FOR_WHOM,
        "safety_identifier": FOR_WHOM,
        "n": _ONE_ANSWER,
        "n_cmpl": _ONE_ANSWER,
        "best_of": _ONE_ANSWER,
        "n_predict": 'has another name here: use "max_completion_tokens"',
        "store": "must be true or false",
        "logprobs": "must be true or false",
        "top_logprobs": "must be 0: probabilities of tokens are not given",
        "modalities": "must be a list of texts",
        "modalities[]": 'must be "text"; audio is not supported',
        "service_tier": 'must be "auto": a tier has a price of its own, which is not held',
        "audio": COSTLY,
        "prediction": COSTLY,
        "web_search_options": COSTLY,
        "moderation": "is not supported: its results could not be given",
        "function_call": _OLD_WAY,
        "functions": _OLD_WAY,
    },
)
