"""The bodies of ``POST /v1/messages`` and of ``POST /v1/messages/count_tokens``.

A role's messages hold that role's blocks alone, and of blocks, tools and sources those kinds that
this server takes. What it would not do, or what could cost more than was held for it, is a field
of the type None: to be left out, or null. A block's other fields are not read, ``cache_control``
among them: it is a hint about what to keep, and an answer is right without it.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

# The wire's own bound; how large a body may be bounds it sooner.
MOST_MESSAGES: Final = 100_000
LONGEST_NAME: Final = 256
LARGEST_LIMIT: Final = 2**53 - 1

_Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
_SomeText = Annotated[str, Meta(min_length=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Object = dict[str, Any]


class Base64Source(msgspec.Struct, tag_field="type", tag="base64", gc=False):
    """A picture that is in the body itself."""

    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class UrlSource(msgspec.Struct, tag_field="type", tag="url", gc=False):
    """A picture that the provider fetches."""

    url: str


class TextBlock(msgspec.Struct, tag_field="type", tag="text", gc=False):
    """A piece of text."""

    text: _SomeText


class ImageBlock(msgspec.Struct, tag_field="type", tag="image"):
    """A picture."""

    source: Base64Source | UrlSource


class ToolResultBlock(msgspec.Struct, tag_field="type", tag="tool_result"):
    """What a tool gave back, or how it failed."""

    tool_use_id: _Name
    content: str | list[TextBlock | ImageBlock] | None = None
    is_error: bool | None = None


class ThinkingBlock(msgspec.Struct, tag_field="type", tag="thinking", gc=False):
    """A thought, given back as it came; one that nobody sealed has an empty signature."""

    thinking: str
    signature: str


class RedactedThinkingBlock(msgspec.Struct, tag_field="type", tag="redacted_thinking", gc=False):
    """A thought that only its provider can read."""

    data: _SomeText


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use"):
    """A tool call, given back as it came."""

    id: _Name
    name: _Name
    input: _Object


AssistantBlock = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock
UserBlock = TextBlock | ImageBlock | ToolResultBlock


class UserBody(msgspec.Struct, tag_field="role", tag="user"):
    """What a person says, and before it what tools gave back."""

    content: str | list[UserBlock]


class AssistantBody(msgspec.Struct, tag_field="role", tag="assistant"):
    """What the model said; as the last message, what it is to go on from."""

    content: str | list[AssistantBlock]


class SystemBlock(msgspec.Struct, gc=False):
    """A piece of what the operator says; a tag that stands alone would not have to be there."""

    type: Literal["text"]
    text: _SomeText


class SystemBody(msgspec.Struct, tag_field="role", tag="system"):
    """What the operator says in the middle of a conversation."""

    content: str | list[SystemBlock]


MessageBody = UserBody | AssistantBody | SystemBody


class ToolBody(msgspec.Struct):
    """A tool of the client's own; ``type`` is one of Anthropic's for those that it runs itself."""

    name: _Name
    input_schema: _Object
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    input_examples: None = None


class AutoChoice(msgspec.Struct, tag_field="type", tag="auto", gc=False):
    """The model decides whether to use a tool."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(msgspec.Struct, tag_field="type", tag="any", gc=False):
    """The model must use a tool, whichever it likes."""

    disable_parallel_tool_use: bool | None = None


class NamedChoice(msgspec.Struct, tag_field="type", tag="tool", gc=False):
    """The model must use the tool called ``name``."""

    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(msgspec.Struct, tag_field="type", tag="none", gc=False):
    """The model must not use a tool."""


ChoiceBody = AutoChoice | AnyChoice | NamedChoice | NoChoice


class MetadataBody(msgspec.Struct, gc=False):
    """About the request."""

    user_id: str | None = None


class EditBody(msgspec.Struct, gc=False):
    """A change that the provider is to make to the conversation before its model reads it."""

    type: str


class ContextBody(msgspec.Struct):
    """Changes of the conversation, in their order."""

    edits: list[EditBody] | None = None


class PromptBody(msgspec.Struct, kw_only=True):
    """What is read by the model: all that is counted."""

    model: _Name
    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=MOST_MESSAGES)]
    system: str | list[SystemBlock] | None = None
    tools: list[ToolBody] | None = None
    tool_choice: ChoiceBody | None = None
    context_management: ContextBody | None = None
    mcp_servers: None = None


class MessagesBody(PromptBody, kw_only=True):
    """A request for an answer. What it has beside these names is passed on as it came.

    ``cache_control`` and ``diagnostics`` are hints that are taken and dropped.
    """

    max_tokens: Annotated[int, Meta(ge=1, le=LARGEST_LIMIT)]
    stream: bool | None = None
    temperature: _Share | None = None
    top_p: _Share | None = None
    stop_sequences: list[_SomeText] | None = None
    metadata: MetadataBody | None = None
    cache_control: _Object | None = None
    diagnostics: _Object | None = None
    billing_policy: None = None
    compaction: None = None
    container: None = None
    fallback_credit_token: None = None
    fallbacks: None = None
    inference_geo: None = None
    service_tier: None = None
    speed: None = None
    thread: None = None
