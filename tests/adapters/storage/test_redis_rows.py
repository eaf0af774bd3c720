"""How rows are kept in Redis: no two share a key, and instants are in order as text."""

from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.storage.compare_and_set import Key
from chatnest.adapters.storage.redis_rows import instant, name_of
from chatnest.domain.budget import AccountKey, Unit
from chatnest.domain.ledger import RateKey
from chatnest.domain.windows import Period

# The signs that the names are joined and escaped with, and little else: so that they meet.
texts = st.text(":%3A25h", max_size=5)
starts = st.integers(0, 11)


def keys() -> st.SearchStrategy[Key]:
    accounts = st.builds(
        AccountKey,
        texts,
        st.sampled_from(Unit),
        st.sampled_from(Period),
        starts,
    )
    return accounts | st.builds(RateKey, texts, texts) | texts


@given(one=keys(), other=keys())
def test_different_rows_have_different_keys(one: Key, other: Key) -> None:
    assert (name_of(one) == name_of(other)) == (one == other)


@given(parts=st.lists(texts, min_size=3, max_size=3))
def test_a_scope_and_a_name_are_never_joined_ambiguously(parts: list[str]) -> None:
    first, second, third = parts
    one, other = RateKey(f"{first}:{second}", third), RateKey(first, f"{second}:{third}")
    assert (name_of(one) == name_of(other)) == (one == other)


@given(one=st.integers(0, 2**63), other=st.integers(0, 2**63) | starts)
def test_instants_are_in_the_order_of_their_texts(one: int, other: int) -> None:
    assert (instant(one) < instant(other)) == (one < other)
