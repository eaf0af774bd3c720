"""What a package that brings a provider implements: a factory, and what it is given.

A factory is registered as an entry point of the group ``chatnest.providers``; the entry point's
name is the kind that a configuration asks for::

    [project.entry-points."chatnest.providers"]
    acme = "acme_chat:create"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chatnest.domain.ports import ChatProvider, Clock, Randomness


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the configuration says of one provider.

    ``name`` is what the provider must be called, ``kind`` the name of its factory. ``base_url``
    None is the kind's own address. ``api_key`` None: the variable that the kind's own library
    reads counts; empty: this server is to be sent no key. ``read_timeout_s`` is longer than any
    call may take. ``context_window`` is what its models were configured with, if they were.
    ``options`` are the kind's own, of the types that JSON has, and are the factory's to check.
    """

    name: str
    kind: str
    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 600.0
    max_connections: int = 10_000
    context_window: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ProviderPorts:
    """What a provider works with, so that it needs no other source of time and chance."""

    clock: Clock
    randomness: Randomness


ProviderFactory = Callable[[ProviderSettings, ProviderPorts], ChatProvider]
"""Makes a provider, without waiting for anything: what it connects to is opened by its first call.

What it refuses in its settings is a :class:`~chatnest.domain.errors.ConfigurationError`.
"""
