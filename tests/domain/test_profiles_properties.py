"""Profiles against an own calculation: a client can only lower, and hard caps always hold."""

from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chatnest.domain.profiles import HardCaps, Profile, Profiles, Wishes, cap, lower

WISHABLE = (
    "max_output_tokens",
    "max_messages",
    "temperature",
    "tokens_per_day",
    "tokens_per_request",
)
CAPPED = (*WISHABLE, "requests_per_minute")

counts = st.integers(1, 4)
temperatures = st.integers(0, 3).map(lambda halves: halves / 2)


def numbers(
    count: SearchStrategy[int | None], heat: SearchStrategy[float | None]
) -> dict[str, SearchStrategy[int | None] | SearchStrategy[float | None]]:
    return {name: heat if name == "temperature" else count for name in WISHABLE}


profiles = st.builds(
    Profile,
    name=st.just("p"),
    requests_per_minute=counts,
    min_output_tokens=counts,
    concurrent_streams=counts,
    system_prompt=st.sampled_from((None, "Be brief.")),
    **numbers(counts, temperatures),
)
hard_caps = st.builds(HardCaps, requests_per_minute=counts, **numbers(counts, temperatures))
wishes = st.builds(Wishes, **numbers(st.none() | counts, st.none() | temperatures))


def smallest(name: str, *sources: Profile | HardCaps | Wishes) -> float:
    given_numbers: list[float | None] = [asdict(source).get(name) for source in sources]
    return min(number for number in given_numbers if number is not None)


@given(profiles, hard_caps, wishes)
def test_every_number_is_the_smallest_of_profile_cap_and_wish(
    profile: Profile, caps: HardCaps, wished: Wishes
) -> None:
    expected = asdict(profile)
    expected |= {name: smallest(name, profile, caps, wished) for name in CAPPED}
    expected["min_output_tokens"] = min(profile.min_output_tokens, expected["max_output_tokens"])
    assert asdict(lower(cap(profile, caps), wished)) == expected
    assert asdict(cap(lower(profile, wished), caps)) == expected


@given(profiles, hard_caps)
def test_a_configured_profile_never_passes_a_hard_cap(profile: Profile, caps: HardCaps) -> None:
    found = Profiles({"p": profile}, default="p", aliases={}, caps=caps).get("p")
    assert found is not None
    for name in CAPPED:
        assert asdict(found)[name] <= asdict(caps)[name]


@given(profiles, wishes)
def test_a_wish_never_raises_a_number(profile: Profile, wished: Wishes) -> None:
    lowered, own = asdict(lower(profile, wished)), asdict(profile)
    assert all(lowered[name] <= own[name] for name in (*CAPPED, "min_output_tokens"))


@given(profiles, st.integers(0, 2))
def test_wishes_at_or_above_the_profile_change_nothing(profile: Profile, more: int) -> None:
    profile = replace(profile, min_output_tokens=1)
    wished = Wishes(**{name: asdict(profile)[name] + more for name in WISHABLE})
    assert lower(profile, wished) == profile


@given(profiles, hard_caps, wishes)
def test_capping_and_lowering_twice_changes_nothing(
    profile: Profile, caps: HardCaps, wished: Wishes
) -> None:
    once = lower(cap(profile, caps), wished)
    assert lower(cap(once, caps), wished) == once


@given(profiles, wishes)
def test_the_least_answer_worth_sending_stays_within_the_output_cap(
    profile: Profile, wished: Wishes
) -> None:
    lowered = lower(profile, wished)
    assert 1 <= lowered.min_output_tokens <= lowered.max_output_tokens
