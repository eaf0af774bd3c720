"""The factories of the providers that ChatNest brings, made like anybody else's."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from chatnest.adapters.providers import LocalProvider, OpenAIProvider, ScriptedProvider
from chatnest.adapters.providers.anthropic import AnthropicProvider
from chatnest.adapters.providers.scripted import DEMONSTRATION
from chatnest.app.config_values import Count, Section
from chatnest.app.provider_factory import ProviderPorts, ProviderSettings
from chatnest.app.settings_tree import checked_value
from chatnest.domain.ports import ChatProvider

OptionsT = TypeVar("OptionsT", bound=Section)


class RemoteOptions(Section, frozen=True, kw_only=True):
    """How a provider's server is reached."""

    keep_alive: bool = True
    """Whether the connection of an answer that came to its end is kept for the next call."""

    trust_env: bool = True
    """Whether proxies are taken from the environment."""


class LocalOptions(Section, frozen=True, kw_only=True):
    """How the model on this machine is run."""

    model_path: str | None = None
    """A GGUF file in place of the model that is installed."""

    parallel: Count = 2
    """Calls that are answered at once; further ones wait."""

    threads: Count | None = None
    """Threads that compute; left out: one for every second processor."""


class ScriptedOptions(Section, frozen=True, kw_only=True):
    """What a script says."""

    text: str | None = None
    """The answer to everything; left out: what was said last."""


def create_openai(settings: ProviderSettings, ports: ProviderPorts) -> ChatProvider:
    """OpenAI, or a server that speaks its wire."""
    return OpenAIProvider(**_remote(settings))


def create_anthropic(settings: ProviderSettings, ports: ProviderPorts) -> ChatProvider:
    """Anthropic, or a server that speaks its wire."""
    return AnthropicProvider(**_remote(settings))


def create_local(settings: ProviderSettings, ports: ProviderPorts) -> ChatProvider:
    """The model on this machine."""
    options = checked_options(settings.name, settings.options, LocalOptions)
    window = settings.context_window
    return LocalProvider(
        ports.randomness,
        name=settings.name,
        model_path=None if options.model_path is None else Path(options.model_path),
        parallel=options.parallel,
        threads=options.threads,
        **({} if window is None else {"context_window": window}),
    )


def create_scripted(settings: ProviderSettings, ports: ProviderPorts) -> ChatProvider:
    """Answers from a script."""
    options = checked_options(settings.name, settings.options, ScriptedOptions)
    script = replace(DEMONSTRATION, text=options.text)
    return ScriptedProvider(ports.clock, script, name=settings.name)


def checked_options(name: str, options: Mapping[str, Any], kind: type[OptionsT]) -> OptionsT:
    """*options* of the provider *name* as their own type.

    Raises:
        ConfigurationError: one of them is unknown, or not of its type.
    """
    checked = checked_value(dict(options), kind, f"providers.{name}.options")
    return msgspec.convert(checked, kind)


def _remote(settings: ProviderSettings) -> dict[str, Any]:
    options = checked_options(settings.name, settings.options, RemoteOptions)
    return {
        "name": settings.name,
        "api_key": settings.api_key,
        "base_url": settings.base_url,
        "connect_timeout_s": settings.connect_timeout_s,
        "read_timeout_s": settings.read_timeout_s,
        "max_connections": settings.max_connections,
        "keep_alive": options.keep_alive,
        "trust_env": options.trust_env,
    }
