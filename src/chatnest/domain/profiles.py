"""Usage profiles: the numbers that a caller's requests are held to.

A client names a profile and may only lower its numbers; hard caps stand above every profile,
whatever the configuration says.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import TypeVar

from chatnest.domain.values import value

N = TypeVar("N", int, float)


def _check(temperature: float, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    if not temperature >= 0:
        raise ValueError(f"temperature must be a number of at least 0, got {temperature}")


@value
class Profile:
    """The limits of one kind of use.

    ``tokens_per_request`` covers input and output together. ``min_output_tokens`` is the least
    answer worth sending: where a budget has less room, the request is refused.

    Raises:
        ValueError: a limit is less than one, or the temperature is negative or not a number.
    """

    name: str
    max_output_tokens: int
    max_messages: int
    temperature: float
    tokens_per_day: int
    tokens_per_request: int
    requests_per_minute: int
    min_output_tokens: int = 16
    concurrent_streams: int = 8
    system_prompt: str | None = None

    def __post_init__(self) -> None:
        _check(
            self.temperature,
            max_output_tokens=self.max_output_tokens,
            max_messages=self.max_messages,
            tokens_per_day=self.tokens_per_day,
            tokens_per_request=self.tokens_per_request,
            requests_per_minute=self.requests_per_minute,
            min_output_tokens=self.min_output_tokens,
            concurrent_streams=self.concurrent_streams,
        )


@value
class HardCaps:
    """The most that any profile may allow, whatever is configured.

    Raises:
        ValueError: a cap is less than one, or the temperature is negative or not a number.
    """

    max_output_tokens: int = 4_096
    max_messages: int = 20
    temperature: float = 2.0
    tokens_per_day: int = 500_000
    tokens_per_request: int = 16_000
    requests_per_minute: int = 60

    def __post_init__(self) -> None:
        _check(
            self.temperature,
            max_output_tokens=self.max_output_tokens,
            max_messages=self.max_messages,
            tokens_per_day=self.tokens_per_day,
            tokens_per_request=self.tokens_per_request,
            requests_per_minute=self.requests_per_minute,
        )


@value
class Wishes:
    """Numbers that a client asks for; None leaves the profile's own."""

    max_output_tokens: int | None = None
    max_messages: int | None = None
    temperature: float | None = None
    tokens_per_day: int | None = None
    tokens_per_request: int | None = None


_NO_WISHES = Wishes()
CONSTRAINED = Profile("constrained", 150, 4, 0.5, 30_000, 2_048, 15)
BALANCED = Profile("balanced", 400, 6, 0.7, 70_000, 2_048, 30)
EXPANDED = Profile("expanded", 3_000, 12, 0.8, 200_000, 12_000, 60)
DEFAULT_PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (CONSTRAINED, BALANCED, EXPANDED)}
)
LEGACY_ALIASES: Mapping[str, str] = MappingProxyType(
    {"budget": "constrained", "moderate": "balanced", "free": "expanded"}
)


@value
class Profiles:
    """The configured profiles under their hard caps.

    A profile's own name beats an alias, and an alias names a profile, not another alias.

    Raises:
        ValueError: the default, or an alias, names no profile, or a profile is kept under a name
            that is not its own.
    """

    by_name: Mapping[str, Profile] = field(default_factory=lambda: DEFAULT_PROFILES)
    default: str = BALANCED.name
    aliases: Mapping[str, str] = field(default_factory=lambda: LEGACY_ALIASES)
    caps: HardCaps = field(default_factory=HardCaps)
    _capped: Mapping[str, Profile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        capped = {name: cap(profile, self.caps) for name, profile in self.by_name.items()}
        object.__setattr__(self, "_capped", capped)
        for name, profile in self.by_name.items():
            if name != profile.name:
                raise ValueError(f"the profile {profile.name!r} is kept under the name {name!r}")
        for name in (self.canonical(self.default), *self.aliases.values()):
            if name not in self.by_name:
                raise ValueError(f"no profile is called {name!r}")

    def canonical(self, name: str) -> str:
        """The profile's own name for *name*, which may be an alias."""
        return name if name in self.by_name else self.aliases.get(name, name)

    def get(self, name: str) -> Profile | None:
        """The profile called *name*, under the hard caps; None where there is none."""
        return self._capped.get(self.canonical(name))


def cap(profile: Profile, caps: HardCaps) -> Profile:
    """*profile* with no number above *caps*; ``min_output_tokens`` follows the output cap."""
    max_output_tokens = min(profile.max_output_tokens, caps.max_output_tokens)
    return replace(
        profile,
        max_output_tokens=max_output_tokens,
        min_output_tokens=min(profile.min_output_tokens, max_output_tokens),
        max_messages=min(profile.max_messages, caps.max_messages),
        temperature=min(profile.temperature, caps.temperature),
        tokens_per_day=min(profile.tokens_per_day, caps.tokens_per_day),
        tokens_per_request=min(profile.tokens_per_request, caps.tokens_per_request),
        requests_per_minute=min(profile.requests_per_minute, caps.requests_per_minute),
    )


def lower(profile: Profile, wishes: Wishes) -> Profile:
    """*profile* with each number at the lower of its own and the client's wish.

    ``min_output_tokens`` follows an output cap that is lower than it.

    Raises:
        ValueError: a wish is less than one, or its temperature is negative or not a number.
    """
    if wishes == _NO_WISHES and profile.min_output_tokens <= profile.max_output_tokens:
        return profile  # as most are that clients ask under: to copy one would be dear
    max_output_tokens = _lower_of(profile.max_output_tokens, wishes.max_output_tokens)
    return replace(
        profile,
        max_output_tokens=max_output_tokens,
        min_output_tokens=min(profile.min_output_tokens, max_output_tokens),
        max_messages=_lower_of(profile.max_messages, wishes.max_messages),
        temperature=_lower_of(profile.temperature, wishes.temperature),
        tokens_per_day=_lower_of(profile.tokens_per_day, wishes.tokens_per_day),
        tokens_per_request=_lower_of(profile.tokens_per_request, wishes.tokens_per_request),
    )


def _lower_of(own: N, wish: N | None) -> N:
    # Not min(): that would pass over a wish that is not a number, instead of letting it be refused.
    return own if wish is None or own <= wish else wish
