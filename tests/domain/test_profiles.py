"""The default profiles, their names, and configurations that cannot work."""

import math
from dataclasses import asdict, replace

import pytest

from chatnest.domain.profiles import (
    BALANCED,
    CONSTRAINED,
    DEFAULT_PROFILES,
    EXPANDED,
    HardCaps,
    Profile,
    Profiles,
    Wishes,
    cap,
    lower,
)

COUNTS = (
    "max_output_tokens",
    "max_messages",
    "tokens_per_day",
    "tokens_per_request",
    "requests_per_minute",
)


@pytest.mark.parametrize(
    ("name", "alias", "numbers"),
    [
        ("constrained", "budget", (150, 4, 0.5, 30_000, 2_048, 15)),
        ("balanced", "moderate", (400, 6, 0.7, 70_000, 2_048, 30)),
        ("expanded", "free", (3_000, 12, 0.8, 200_000, 12_000, 60)),
    ],
)
def test_the_default_profiles_are_the_published_ones(
    name: str, alias: str, numbers: tuple[float, ...]
) -> None:
    profile = Profiles().get(name)
    assert profile is not None
    assert profile.name == name
    assert numbers == (
        profile.max_output_tokens,
        profile.max_messages,
        profile.temperature,
        profile.tokens_per_day,
        profile.tokens_per_request,
        profile.requests_per_minute,
    )
    assert Profiles().get(alias) == profile
    assert Profiles().canonical(alias) == name


def test_the_default_hard_caps_are_the_published_ones() -> None:
    assert HardCaps() == HardCaps(4_096, 20, 2.0, 500_000, 16_000, 60)


def test_balanced_is_the_default() -> None:
    assert Profiles().default == "balanced"


def test_no_default_profile_reaches_a_hard_cap_that_would_change_it() -> None:
    for profile in (CONSTRAINED, BALANCED, EXPANDED):
        assert cap(profile, HardCaps()) == profile


def test_an_unknown_name_is_no_profile() -> None:
    for name in ("", "Balanced", "unlimited", "budget "):
        assert Profiles().get(name) is None


def test_a_configured_profile_is_handed_out_under_the_hard_caps() -> None:
    huge = Profile("huge", 10**9, 10**9, 99.0, 10**9, 10**9, 10**9, min_output_tokens=10**9)
    profiles = Profiles({"huge": huge}, default="huge", aliases={"big": "huge"})
    expected = Profile("huge", 4_096, 20, 2.0, 500_000, 16_000, 60, min_output_tokens=4_096)
    assert profiles.get("huge") == profiles.get("big") == expected


def test_a_profiles_own_name_beats_an_alias() -> None:
    profiles = Profiles(
        {"a": replace(BALANCED, name="a"), "b": replace(EXPANDED, name="b")},
        default="a",
        aliases={"a": "b"},
    )
    assert profiles.canonical("a") == "a"
    found = profiles.get("a")
    assert found is not None
    assert found.name == "a"


def test_the_default_may_be_an_alias() -> None:
    assert Profiles(default="budget").canonical("budget") == "constrained"


@pytest.mark.parametrize(
    ("default", "aliases"),
    [
        ("nobody", {}),
        ("balanced", {"cheap": "nobody"}),
        ("balanced", {"cheap": "budget", "budget": "constrained"}),
    ],
)
def test_a_name_without_a_profile_is_refused(default: str, aliases: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no profile is called"):
        Profiles(default=default, aliases=aliases)


def test_a_profile_under_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="kept under the name 'cheap'"):
        Profiles({**DEFAULT_PROFILES, "cheap": BALANCED})


@pytest.mark.parametrize("field", [*COUNTS, "min_output_tokens", "concurrent_streams"])
def test_a_profile_without_room_is_refused(field: str) -> None:
    for count in (0, -1):
        with pytest.raises(ValueError, match=field):
            Profile(**asdict(BALANCED) | {field: count})
    assert asdict(Profile(**asdict(BALANCED) | {field: 1}))[field] == 1


@pytest.mark.parametrize("field", COUNTS)
def test_a_cap_without_room_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(HardCaps(), **{field: 0})


@pytest.mark.parametrize("temperature", [-0.1, -math.inf, math.nan])
def test_a_temperature_must_be_a_number_of_at_least_zero(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        replace(BALANCED, temperature=temperature)
    with pytest.raises(ValueError, match="temperature"):
        HardCaps(temperature=temperature)
    with pytest.raises(ValueError, match="temperature"):
        lower(BALANCED, Wishes(temperature=temperature))


@pytest.mark.parametrize(
    "field", ["max_output_tokens", "max_messages", "tokens_per_day", "tokens_per_request"]
)
def test_a_wish_for_nothing_is_refused(field: str) -> None:
    for count in (0, -1):
        with pytest.raises(ValueError, match=field):
            lower(BALANCED, Wishes(**{field: count}))


def test_a_wish_for_an_infinite_temperature_leaves_the_profiles_own() -> None:
    assert lower(BALANCED, Wishes(temperature=math.inf)) == BALANCED


def test_no_wish_changes_nothing() -> None:
    assert lower(BALANCED, Wishes()) == BALANCED


def test_a_short_answer_may_be_wished_for() -> None:
    lowered = lower(BALANCED, Wishes(max_output_tokens=3))
    assert (lowered.max_output_tokens, lowered.min_output_tokens) == (3, 3)
