"""What each field of Anthropic's bodies must be, as a client is told it."""

from typing import Final

from chatnest.adapters.transport.anthropic_body import (
    LARGEST_LIMIT,
    LONGEST_NAME,
    MOST_MESSAGES,
    MessagesBody,
    PromptBody,
)
from chatnest.adapters.transport.bodies import BodyFormat

_TEXT = "must be a text"
_SOME_TEXT = "must be a text that is not empty"
_NAME = f"must be a text of 1 to {LONGEST_NAME} characters"
_SHARE = "must be a number from 0 to 1"
_SWITCH = "must be true or false"
_OBJECT = "must be an object"
_CONTENT = "must be a text, or a list of blocks"
_SOURCE_TYPE = 'must be "base64" or "url"; this server keeps no files'
_COSTS_MORE = "is not taken by this server: it can cost more than is held for it; leave it out"
_NOT_DONE = "is not taken by this server; leave it out"

_BLOCKS = "messages[].content[]"
_IMAGES = (f"{_BLOCKS}.source", f"{_BLOCKS}.content[].source")

_PROMPT_FIELDS: Final = {
    "": 'the body must be a JSON object with "model" and "messages"',
    "model": "must be the name of a model, " + _NAME.removeprefix("must be "),
    "messages": f"must be a list of 1 to {MOST_MESSAGES} messages",
    "messages[]": 'must be an object with "role" and "content"',
    "messages[].role": 'must be "user", "assistant" or "system"',
    "messages[].content": _CONTENT,
    _BLOCKS: 'must be an object with "type"',
    f"{_BLOCKS}.type": (
        'must be a block that this server takes: "text", "image" or "tool_result" of a user; '
        '"text", "thinking", "redacted_thinking" or "tool_use" of an assistant; "text" of a system'
    ),
    f"{_BLOCKS}.text": _SOME_TEXT,
    f"{_BLOCKS}.thinking": _TEXT,
    f"{_BLOCKS}.signature": _TEXT,
    f"{_BLOCKS}.data": _SOME_TEXT,
    f"{_BLOCKS}.id": _NAME,
    f"{_BLOCKS}.name": _NAME,
    f"{_BLOCKS}.input": _OBJECT,
    f"{_BLOCKS}.tool_use_id": _NAME,
    f"{_BLOCKS}.is_error": _SWITCH,
    f"{_BLOCKS}.content": _CONTENT,
    f"{_BLOCKS}.content[]": 'must be an object with "type"',
    f"{_BLOCKS}.content[].type": 'must be "text" or "image"; this server takes no other result',
    f"{_BLOCKS}.content[].text": _SOME_TEXT,
    **dict.fromkeys(_IMAGES, 'must be an object with "type"'),
    **{f"{image}.type": _SOURCE_TYPE for image in _IMAGES},
    **{
        f"{image}.media_type": 'must be "image/jpeg", "image/png", "image/gif" or "image/webp"'
        for image in _IMAGES
    },
    **{f"{image}.data": "must be a picture in base64" for image in _IMAGES},
    **{f"{image}.url": "must be an https: address" for image in _IMAGES},
    "system": "must be a text, or a list of text blocks",
    "system[]": 'must be an object with "type" and "text"',
    "system[].type": 'must be "text"',
    "system[].text": _SOME_TEXT,
    "tools": "must be a list of tools",
    "tools[]": 'must be an object with "name" and "input_schema"',
    "tools[].type": 'must be "custom"; tools that the provider itself runs are not taken',
    "tools[].name": _NAME,
    "tools[].description": _TEXT,
    "tools[].input_schema": "must be a JSON Schema, an object",
    "tools[].strict": _SWITCH,
    "tools[].defer_loading": _SWITCH,
    "tools[].input_examples": _NOT_DONE,
    "tool_choice": 'must be an object with "type"',
    "tool_choice.type": 'must be "auto", "any", "tool" or "none"',
    "tool_choice.name": "must be the name of a tool",
    "tool_choice.disable_parallel_tool_use": _SWITCH,
    "context_management": _OBJECT,
    "context_management.edits": "must be a list of edits",
    "mcp_servers": _COSTS_MORE,
}

PROMPT: Final = BodyFormat(PromptBody, _PROMPT_FIELDS)
"""A body that is to be counted."""

MESSAGES: Final = BodyFormat(
    MessagesBody,
    {
        **_PROMPT_FIELDS,
        "": 'the body must be a JSON object with "model", "max_tokens" and "messages"',
        "max_tokens": f"must be a whole number from 1 to {LARGEST_LIMIT}",
        "stream": _SWITCH,
        "temperature": _SHARE,
        "top_p": _SHARE,
        "stop_sequences": "must be a list of texts",
        "stop_sequences[]": _SOME_TEXT,
        "metadata": _OBJECT,
        "metadata.user_id": _TEXT,
        "cache_control": _OBJECT,
        "diagnostics": _OBJECT,
        "billing_policy": _NOT_DONE,
        "compaction": _COSTS_MORE,
        "container": _COSTS_MORE,
        "fallback_credit_token": _NOT_DONE,
        "fallbacks": _COSTS_MORE,
        "inference_geo": _COSTS_MORE,
        "service_tier": _COSTS_MORE,
        "speed": _COSTS_MORE,
        "thread": _COSTS_MORE,
    },
)
"""A body that is to be answered."""
