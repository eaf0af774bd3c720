"""Sources of answers, behind :class:`chatnest.domain.ports.ChatProvider`.

Importing them imports no SDK: each provider loads its own when it is made.
"""

from chatnest.adapters.providers.anthropic import AnthropicProvider
from chatnest.adapters.providers.local import LOCAL_MODEL, LocalProvider
from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.adapters.providers.scripted import Script, ScriptedProvider

__all__ = [
    "LOCAL_MODEL",
    "AnthropicProvider",
    "LocalProvider",
    "OpenAIProvider",
    "Script",
    "ScriptedProvider",
]
