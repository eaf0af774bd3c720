"""How servers that speak OpenAI's Chat Completions differ in what they take, as data.

Only what would fail a request stands here. How their answers differ needs no table:
``openai_stream`` reads every known way of saying the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class ServerQuirks:
    """What is particular to the requests of one server.

    ``output_cap_field`` None leaves the field's name to the model. ``refused`` are fields that it
    answers with an error. Where a model called tools, the server wants its thoughts back in
    ``thoughts_field``, and ``tool_call_extra`` in each of the calls.
    """

    output_cap_field: str | None = None
    refused: frozenset[str] = frozenset()
    thoughts_field: str | None = None
    tool_call_extra: Mapping[str, object] = field(default_factory=dict)


# Also every server that is not in the table: vLLM, llama.cpp, Ollama and most of the hosted ones
# take what OpenAI's own takes, under the older name of the output cap.
COMPATIBLE = ServerQuirks()

# max_tokens is "deprecated in favor of max_completion_tokens" (OpenAI's and Groq's API references);
# with the new name a model whose family nobody has entered yet is capped too.
_NEWER_CAP = ServerQuirks(output_cap_field="max_completion_tokens")

# "Extra inputs are not permitted", and its request has neither of these (mistralai 3.7,
# ChatCompletionStreamRequest); usage comes in the last chunk unasked (tabby, pull request 4082).
_MISTRAL = ServerQuirks(
    output_cap_field="max_tokens", refused=frozenset({"stream_options", "user"})
)

# "For turns that do perform tool calls, the reasoning_content must be fully passed back": else, and
# also where it was empty and is left out, a 400 (api-docs.deepseek.com, guides/thinking_mode;
# deepseek-harness, discussion 739). Kimi's "reasoning_content is missing in assistant tool call
# message" is the same, and of temperatures it takes its own alone (sim, pull request 5716).
_DEEPSEEK = ServerQuirks(thoughts_field="reasoning_content")
_KIMI = ServerQuirks(
    refused=frozenset({"temperature", "top_p"}), thoughts_field="reasoning_content"
)

# Gemini 3 refuses a call without the seal that it came with, which no message has room for; this
# is the documented stand-in (ai.google.dev, gemini-api/docs/thought-signatures).
_GEMINI = ServerQuirks(
    tool_call_extra={
        "extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}
    }
)

# By the end of the host's name: eu.api.openai.com is api.openai.com.
SERVERS: Mapping[str, ServerQuirks] = {
    "api.openai.com": _NEWER_CAP,
    "api.groq.com": _NEWER_CAP,
    "api.mistral.ai": _MISTRAL,
    "api.deepseek.com": _DEEPSEEK,
    "api.moonshot.ai": _KIMI,
    "api.moonshot.cn": _KIMI,
    "generativelanguage.googleapis.com": _GEMINI,
}


def quirks_of(base_url: str) -> ServerQuirks:
    """The quirks of the server at *base_url*; :data:`COMPATIBLE` where it is not in the table."""
    host = f".{urlsplit(base_url).hostname or ''}"
    found = (quirks for name, quirks in SERVERS.items() if host.endswith(f".{name}"))
    return next(found, COMPATIBLE)
