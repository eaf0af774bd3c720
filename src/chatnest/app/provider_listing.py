"""The providers that there are, for people: what each can do, and what keeps it from working.

Of what other packages bring, only what the configuration chooses is imported.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_routes import ProviderConfig
from chatnest.app.provider_choice import ProviderChoice
from chatnest.app.provider_entry_points import (
    Registration,
    ambiguous,
    make_provider,
    registrations,
)
from chatnest.app.provider_factory import ProviderPorts, ProviderSettings
from chatnest.app.provider_kinds import BUILT_IN, BuiltInKind
from chatnest.app.route_choice import RouteChoice, chosen_providers, provider_settings
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import ConfigurationError


def provider_lines(
    config: ChatNestConfig, routes: Sequence[RouteChoice], environ: Mapping[str, str]
) -> Iterator[str]:
    """Every kind that is installed, then the providers of *routes* that have names of their own."""
    chosen = {choice.name: choice for choice in chosen_providers(routes)}
    every = registrations()
    for registration in every:
        rivals = [one for one in every if one.kind == registration.kind]
        choice = chosen.get(registration.kind)
        if len(rivals) > 1:
            yield from _block(registration, registration.kind, {"state": ambiguous(rivals)})
        elif choice is not None and choice.registration == registration:
            del chosen[choice.name]
            yield from _chosen_block(config, choice, routes, environ)
        else:
            yield from _unused_block(registration, environ)
    for choice in chosen.values():
        yield from _chosen_block(config, choice, routes, environ)


def _unused_block(registration: Registration, environ: Mapping[str, str]) -> Iterator[str]:
    built_in = BUILT_IN.get(registration.kind)
    if built_in is None:
        state = f"not chosen; the target {registration.kind}/MODEL of a route chooses it"
        yield from _block(registration, registration.kind, {"state": state})
        return
    unused = ProviderChoice(built_in.name, ProviderConfig(), registration, built_in)
    facts = {**_data(built_in), "state": unused.obstacle(environ) or "ready"}
    yield from _block(registration, registration.kind, facts)


def _chosen_block(
    config: ChatNestConfig,
    choice: ProviderChoice,
    routes: Sequence[RouteChoice],
    environ: Mapping[str, str],
) -> Iterator[str]:
    facts = {} if choice.built_in is None else _data(choice.built_in)
    obstacle = choice.obstacle(environ)
    if choice.built_in is None and obstacle is None:
        settings = provider_settings(config, choice, routes, environ)
        try:
            facts["takes"] = _taken(asyncio.run(_capabilities(choice.registration, settings)))
        except ConfigurationError as error:
            obstacle = str(error)
    facts["state"] = obstacle or "ready"
    yield from _block(choice.registration, choice.name, facts)


def _block(registration: Registration, name: str, facts: Mapping[str, str]) -> Iterator[str]:
    kind = "" if name == registration.kind else f" ({registration.kind})"
    yield f"{name}{kind}, by {registration.origin}"
    if registration.summary:
        yield f"  {registration.summary}"
    for subject, fact in facts.items():
        yield f"  {subject}: {fact}"


def _data(kind: BuiltInKind) -> dict[str, str]:
    only = ", and no other" if kind.has_one_model else ", where none is named"
    data = {"takes": _taken(kind.capabilities), "model": f"{kind.default_model}{only}"}
    if kind.base_url_variable is not None:
        data["reads"] = ", ".join((*kind.key_variables, kind.base_url_variable))
    return data


def _taken(capabilities: Capabilities) -> str:
    taken = ["text"]
    if capabilities.images:
        taken.append("images")
    if capabilities.tools:
        taken.append("tools")
    if capabilities.wire is not None:
        taken.append(f"further fields of the {capabilities.wire} wire")
    begun = "; a user's message first" if capabilities.user_first else ""
    return ", ".join(taken) + begun


async def _capabilities(registration: Registration, settings: ProviderSettings) -> Capabilities:
    clock = SystemClock()
    ports = ProviderPorts(clock, SystemRandomness(clock))
    provider = make_provider(registration, settings, ports)
    try:
        return provider.capabilities
    finally:
        await provider.aclose()
