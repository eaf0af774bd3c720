"""A body of ``POST /v1/responses``, and the encoder that it is answered with."""

import json

from chatnest.adapters.transport import Encoder
from chatnest.adapters.transport.openai_responses import OpenAIResponsesDialect

DIALECT = OpenAIResponsesDialect()
BODY = {
    "input": "Hello",
    "instructions": "Be kind.",
    "max_output_tokens": 400,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "reasoning": {"effort": "low"},
    "temperature": 0.5,
    "text": {
        "format": {"type": "json_schema", "name": "x", "schema": {"b": 2.5}},
        "verbosity": "low",
    },
    "tool_choice": {"type": "function", "name": "add"},
    "tools": [{"type": "function", "name": "add", "parameters": {"type": "object"}}],
    "top_p": 1,
    "user": "someone",
}


def encoder(*, with_seals: bool = False) -> Encoder:
    include = {"include": ["reasoning.encrypted_content"]} if with_seals else {}
    asked = {**BODY, "stream": True, **include}
    reply = DIALECT.decode(json.dumps(asked).encode()).reply
    assert isinstance(reply, Encoder)
    return reply
