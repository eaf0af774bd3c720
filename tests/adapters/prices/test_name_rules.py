"""A name fits a rule in one of its ways, and the first rule that fits counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.prices.name_rules import FirstRule, NameRule, spellings

SHORT = st.text(alphabet="ab", max_size=2)
TEXTS = st.lists(SHORT, max_size=2).map(tuple)
SIMPLE = st.builds(NameRule, TEXTS, TEXTS, TEXTS, TEXTS)
RULES = st.builds(
    NameRule,
    TEXTS,
    TEXTS,
    every=st.lists(st.lists(SIMPLE, min_size=1, max_size=2).map(tuple), max_size=1).map(tuple),
)


@pytest.mark.parametrize(
    ("rule", "fitting", "other"),
    [
        (NameRule(equals=("a", "b")), ["a", "b"], ["", "ab"]),
        (NameRule(starts_with=("ab",)), ["ab", "abc"], ["a", "cab"]),
        (NameRule(ends_with=("ab",)), ["ab", "cab"], ["b", "abc"]),
        (NameRule(contains=("ab",)), ["ab", "cabc"], ["a-b"]),
        (NameRule(regex=(r"^a\d$", "z")), ["a1", "z"], ["a12", "ba1"]),
        (
            NameRule(every=((NameRule(starts_with=("a",)), NameRule(ends_with=("b", "c"))),)),
            ["ab", "a-c"],
            ["a", "b", "ba"],
        ),
        (NameRule(), [], ["", "a"]),
    ],
)
def test_a_rule_holds_for_names_that_fit_one_of_its_parts(
    rule: NameRule, fitting: list[str], other: list[str]
) -> None:
    assert all(map(rule.holds, fitting))
    assert not any(map(rule.holds, other))


@given(st.lists(SIMPLE | RULES | st.builds(NameRule, TEXTS), max_size=6), SHORT)
def test_the_first_rule_that_holds_is_found(rules: list[NameRule], name: str) -> None:
    holding = [rule for rule in rules if rule.holds(name)]
    found = FirstRule(rules).find(name)
    assert found is (holding[0] if holding else None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GPT-4o", ["gpt-4o"]),
        ("m-20260131", ["m-20260131", "m-2026-01-31"]),
        ("m-20260131-pro:free", ["m-20260131-pro:free", "m-2026-01-31-pro:free"]),
        ("m-20260231", ["m-20260231"]),
        ("m-20261301", ["m-20261301"]),
        ("m-19991231", ["m-19991231"]),
        ("m-202601310", ["m-202601310"]),
        ("m20260131", ["m20260131"]),
    ],
)
def test_a_compact_date_is_spelt_out_second(name: str, expected: list[str]) -> None:
    assert list(spellings(name)) == expected
