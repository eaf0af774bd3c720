"""Which provider a name in the configuration means, what it is given, and what keeps it back."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from chatnest.app.built_in_providers import checked_options
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_routes import ProviderConfig
from chatnest.app.provider_entry_points import Registration, load_factory, registration
from chatnest.app.provider_kinds import ANTHROPIC, BUILT_IN, LOCAL, OPENAI, BuiltInKind
from chatnest.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """A provider that a configuration names; ``built_in`` is None where others bring it."""

    name: str
    settings: ProviderConfig
    registration: Registration
    built_in: BuiltInKind | None = None

    @property
    def kind(self) -> str:
        """The name of what makes it."""
        return self.registration.kind

    def obstacle(self, environ: Mapping[str, str]) -> str | None:
        """What keeps the provider from working, and what to do about it; None where nothing.

        Nothing is made; but the factory of others is imported.
        """
        if self.built_in is not None and self.built_in.absent:
            absent = " and ".join(self.built_in.absent)
            return f"{absent} not installed; run {self.built_in.install}"
        missing = self._missing_variable(environ)
        if missing is not None:
            return f"{missing} is not set; set it to your key"
        try:
            self._check_factory()
        except ConfigurationError as error:
            return str(error).removesuffix(".")
        return None

    def require(self, environ: Mapping[str, str]) -> None:
        """Pass where the provider has all that it needs.

        Raises:
            ConfigurationError: it has not; the message says what to do.
        """
        obstacle = self.obstacle(environ)
        if obstacle is not None:
            raise ConfigurationError(f"provider {self.name}: {obstacle}.")

    def api_key(self, environ: Mapping[str, str]) -> str | None:
        """The key that it is given; None leaves it to the kind's own library, empty is none."""
        if self.settings.api_key_env is not None:
            return environ.get(self.settings.api_key_env, "").strip()
        # The key in the environment is for the kind's own server, and nobody else is sent it.
        is_elsewhere = self.settings.base_url is not None and self.name != self.kind
        return "" if is_elsewhere else None

    def key_source(self, environ: Mapping[str, str]) -> str | None:
        """The environment variable that its key comes from; None where it is sent none."""
        if self.settings.api_key_env is not None:
            return self.settings.api_key_env
        if self.built_in is None or self.api_key(environ) is not None:
            return None
        return self.built_in.key_variable(environ)

    def model(self, named: str | None, path: str) -> str:
        """The model that it is asked for where the configuration names *named* at *path*.

        Raises:
            ConfigurationError: it has no such model, or no usual one.
        """
        built_in = self.built_in
        if built_in is None:
            if named is None:
                raise ConfigurationError(
                    f"model: name the model that the provider {self.name} is asked for."
                )
            return named
        if built_in.has_one_model and named not in (None, built_in.default_model):
            raise ConfigurationError(
                f"{path}: the provider {self.name} has only {built_in.default_model}. Name that, "
                "or another provider."
            )
        return named or built_in.default_model

    def _missing_variable(self, environ: Mapping[str, str]) -> str | None:
        if self.settings.api_key_env is not None:
            return None if self.api_key(environ) else self.settings.api_key_env
        if self.built_in is None or not self.built_in.key_variables:
            return None
        # A server at an address of its own may want no key, so that none is asked for.
        has_address = self.settings.base_url or environ.get(self.built_in.base_url_variable or "")
        if has_address or self.built_in.key_variable(environ):
            return None
        return self.built_in.key_variables[0]

    def _check_factory(self) -> None:
        if self.built_in is None:
            load_factory(self.registration)
        else:
            checked_options(self.name, self.settings.options, self.built_in.options)


def choose_provider(config: ChatNestConfig, name: str, path: str) -> ProviderChoice:
    """The provider *name* of *config*, which names it at *path*.

    Raises:
        ConfigurationError: there is none of that name or kind, or there is more than one.
    """
    settings = config.providers.get(name, ProviderConfig())
    if not config.routes and config.base_url is not None:
        settings = replace(settings, base_url=config.base_url)
    kind = settings.kind or name
    if settings.factory is not None:
        return ProviderChoice(name, settings, Registration(kind, settings.factory))
    at = path if settings.kind is None else f"providers.{name}.kind"
    return ProviderChoice(name, settings, registration(kind, at), BUILT_IN.get(kind))


def usual_provider(config: ChatNestConfig, environ: Mapping[str, str]) -> str:
    """The provider where *config* names none: one that has a key, else the local one.

    A ``base_url`` means openai: most servers speak its wire.
    """
    if config.base_url:
        return OPENAI.name
    for kind in (OPENAI, ANTHROPIC):
        if kind.key_variable(environ):
            return kind.name
    return LOCAL.name
