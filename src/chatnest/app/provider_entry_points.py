"""Providers that other packages bring: found without an import, and loaded when one is chosen."""

import difflib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version

from chatnest.app.provider_factory import ProviderFactory, ProviderPorts, ProviderSettings
from chatnest.app.provider_kinds import BUILT_IN
from chatnest.app.version import installed_version
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ports import ChatProvider

GROUP = "chatnest.providers"
_OWN = "chatnest"


@dataclass(frozen=True, slots=True)
class Registration:
    """What makes providers of one kind: ``factory`` is ``package.module:callable``.

    ``distribution`` is what registered it, with its version; None where the configuration names
    the factory itself. ``summary`` is what the distribution says of itself.
    """

    kind: str
    factory: str
    distribution: str | None = None
    summary: str = ""

    @property
    def origin(self) -> str:
        """The distribution that the factory comes from, found without an import."""
        return self.distribution or _distribution_of(self.factory)

    @property
    def shown(self) -> str:
        """The factory and where it comes from, for messages."""
        return f"the factory {self.factory} of {self.origin}"


def registrations() -> tuple[Registration, ...]:
    """Every kind that there is, ChatNest's own first. A kind may be there twice.

    ChatNest's own need no metadata, so that they are there in a source tree as well.
    """
    own = (
        Registration(kind.name, kind.factory, _own_origin(), kind.summary)
        for kind in BUILT_IN.values()
    )
    others = (_registration(point) for point in entry_points(group=GROUP) if not _is_own(point))
    return (*own, *sorted(others, key=lambda other: (other.kind, other.origin)))


def registration(kind: str, path: str) -> Registration:
    """The one registration of *kind*; *path* is where the configuration names it.

    Raises:
        ConfigurationError: nobody registers it, or more than one distribution does.
    """
    every = registrations()
    found = [one for one in every if one.kind == kind]
    if not found:
        raise ConfigurationError(f"{path}: {unknown(kind, {one.kind for one in every})}")
    if len(found) > 1:
        raise ConfigurationError(f"{path}: {ambiguous(found)}")
    return found[0]


def unknown(kind: str, known: Iterable[str]) -> str:
    """That there is no provider *kind*, with the nearest of those that are *known*."""
    names = sorted(known)
    near = difflib.get_close_matches(kind, names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}."
    return f"there is no provider {kind!r}. {hint}"


def ambiguous(found: Iterable[Registration]) -> str:
    """That more than one distribution registers a kind, and what to do."""
    first, *others = found
    origins = " and ".join(one.origin for one in (first, *others))
    return (
        f"{origins} both register the provider {first.kind!r}. Uninstall one of them, or name "
        f'one\'s factory in a section of its own, such as factory = "{others[-1].factory}".'
    )


def load_factory(registration: Registration) -> ProviderFactory:
    """Import the factory.

    Raises:
        ConfigurationError: it cannot be imported, or called.
    """
    try:
        factory: object = EntryPoint(registration.kind, registration.factory, GROUP).load()
    except Exception as error:
        advice = "Install that distribution anew, or remove it."
        if registration.distribution is None:
            advice = "Correct the name, or install what brings it."
        raise ConfigurationError(
            f"{registration.shown} cannot be imported ({type(error).__name__}: {error}). {advice}"
        ) from error
    if not callable(factory):
        raise ConfigurationError(
            f"{registration.shown} cannot be called. It must be create(settings, ports): use a "
            "version of that distribution that has one, or name another factory."
        )
    return factory


def make_provider(
    registration: Registration, settings: ProviderSettings, ports: ProviderPorts
) -> ChatProvider:
    """The provider that the factory makes.

    Raises:
        ConfigurationError: there is no such factory, it refuses, it fails, or what it makes is
            none.
    """
    factory = load_factory(registration)
    try:
        provider = factory(settings, ports)
    except ConfigurationError as error:
        raise ConfigurationError(f"provider {settings.name}: {error}") from error
    except Exception as error:
        # It was given the key, and tracebacks end up in logs.
        error.args = tuple(_without_key(part, settings) for part in error.args)
        raise ConfigurationError(
            f"provider {settings.name}: {registration.shown} failed "
            f"({type(error).__name__}: {error}). Report it to those who made it."
        ) from error
    lack = _lack(provider, settings)
    if lack:
        raise ConfigurationError(
            f"provider {settings.name}: {registration.shown} gave {lack}. Use a version of that "
            "distribution that is made for this version of ChatNest, or name another factory."
        )
    return provider


def _lack(provider: object, settings: ProviderSettings) -> str | None:
    """What keeps *provider* from being one by this name; None where nothing does."""
    if inspect.iscoroutine(provider):
        provider.close()
        return "a coroutine and no provider: it must not be async"
    if not isinstance(getattr(provider, "capabilities", None), Capabilities):
        return f"{type(provider).__name__}, which has no capabilities"
    for method in ("stream", "aclose"):
        if not callable(getattr(provider, method, None)):
            return f"{type(provider).__name__}, which has no {method}"
    name = getattr(provider, "name", None)
    # Accounts, prices and the journal know a provider by its name.
    return None if name == settings.name else f"a provider called {name!r}"


def _without_key(part: object, settings: ProviderSettings) -> object:
    if settings.api_key and isinstance(part, str):
        return part.replace(settings.api_key, "…")
    return part


def _distribution_of(factory: str) -> str:
    package = factory.partition(":")[0].partition(".")[0]
    names = sorted(set(packages_distributions().get(package, ())))
    return ", ".join(f"{name} {version(name)}" for name in names) or "no installed distribution"


def _registration(point: EntryPoint) -> Registration:
    if point.dist is None:
        return Registration(point.name, point.value, "an unknown distribution")
    summary = next(iter(point.dist.metadata.get_all("Summary") or ()), "")
    return Registration(point.name, point.value, f"{point.dist.name} {point.dist.version}", summary)


def _is_own(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == _OWN


def _own_origin() -> str:
    return f"{_OWN} {installed_version()}"
