"""Who answers under which name: providers, the routes over them, and the targets in between.

A target is a model at a provider, written ``PROVIDER/MODEL``. A route is what clients name as
their model: the targets behind it, the first preferred.
"""

import msgspec

from chatnest.app.config_values import (
    Count,
    FreeValue,
    Name,
    Reference,
    Seconds,
    Section,
    TargetName,
    Text,
    Variable,
)


class ProviderConfig(Section, frozen=True, kw_only=True):
    """One provider, under the name that targets use.

    The built-in ones work without a section of their own: ``openai/gpt-4o-mini`` is a target.
    """

    kind: Name | None = None
    """Which kind it is: one of those that ``chatnest providers`` lists. Left out: the one called
    like the section."""

    factory: Reference | None = None
    """What makes it, as ``package.module:callable``, in place of what is installed as its kind."""

    base_url: Text | None = None
    """Where its server is, if not at the kind's own address."""

    api_key_env: Variable | None = None
    """The environment variable that holds its key. Left out: the one that the kind's own library
    reads; but a server at a ``base_url``, under another name than the kind's, is sent no key that
    was not named for it."""

    connect_timeout_s: Seconds | None = None
    """How long a connection may take, and how long a call waits for one that is free; left out:
    ``time_limits.connect_s``."""

    max_connections: Count = 10_000
    """Connections that are open at the same time at the most."""

    options: dict[str, FreeValue] = msgspec.field(default_factory=dict)
    """Settings of the kind's own."""


class TargetConfig(Section, frozen=True, kw_only=True):
    """What holds for one target, in every route that it is in."""

    context_window: Count | None = None
    """Tokens that the model can take, where the provider's own figure is not right."""

    max_concurrent: Count | None = None
    """Calls of one server process that are under way at once at the most; left out: any number."""

    max_wait_s: Seconds = 1.0
    """How long a further call waits for its turn before the next target is asked."""


class RouteTimeLimitsConfig(Section, frozen=True, kw_only=True):
    """Time limits of one route, in seconds. What is left out is as for everything else."""

    connect_s: Seconds | None = None
    """From calling a provider to having a connection."""

    first_token_s: Seconds | None = None
    """From calling a provider to its first token."""

    idle_s: Seconds | None = None
    """Between two tokens."""

    total_s: Seconds | None = None
    """For one answer from its beginning to its end."""

    write_stall_s: Seconds | None = None
    """How long a client may stop reading."""


class RouteConfig(Section, frozen=True, kw_only=True):
    """What clients name as their model, and who answers then."""

    targets: tuple[TargetName, ...]
    """Who is asked, in this order: the next one where the one before cannot answer."""

    time_limits: RouteTimeLimitsConfig = msgspec.field(default_factory=RouteTimeLimitsConfig)
    """How long anything may take, where this route differs."""


class CircuitConfig(Section, frozen=True, kw_only=True):
    """When a target that keeps failing is left alone for a while."""

    failures: Count = 5
    """Failures in a row after which a target is not asked any more."""

    open_s: Seconds = 30.0
    """How long it is left alone before one call tries it again."""
