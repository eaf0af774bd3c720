"""``RateLimit`` and ``RateLimit-Policy``: structured fields that say what the decision left."""

import math
import re
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatnest.adapters.transport.limit_headers import limit_headers
from chatnest.domain.admission import RateRule, RateStatus
from chatnest.domain.budget import Balance, BudgetRule, Unit
from chatnest.domain.ledger import RateKey
from chatnest.domain.rate_limit import Quota
from chatnest.domain.windows import Period, Window
from tests.adapters.transport.examples import NOW, SECOND_US, balance, rate

Item = dict[str, int]
_ITEM = re.compile(r'"(?P<name>[ !#-\[\]-~]*)"(?P<parameters>(;[a-z]+=[0-9]{1,15})+)')


def parse(value: str) -> dict[str, Item]:
    """A list of strings with integer parameters, by RFC 9651; nothing else is accepted."""
    items: dict[str, Item] = {}
    matches = list(_ITEM.finditer(value))
    assert ", ".join([match[0] for match in matches]) == value
    for match in matches:
        assert match["name"] not in items
        pairs = (pair.split("=") for pair in match["parameters"][1:].split(";"))
        items[match["name"]] = {key: int(number) for key, number in pairs}
    return items


def read(
    rates: tuple[RateStatus, ...] = (), balances: tuple[Balance, ...] = (), now: int = NOW
) -> tuple[dict[str, Item], dict[str, Item]]:
    headers = dict(limit_headers(rates, balances, now))
    return parse(headers["ratelimit-policy"]), parse(headers["ratelimit"])


def test_without_a_limit_there_is_no_header() -> None:
    assert limit_headers((), (), NOW) == ()
    assert limit_headers((), (balance(limit=None),), NOW) == ()


def test_each_limit_that_has_a_number_has_one_item() -> None:
    policy, state = read(
        (rate(29, 2 * SECOND_US),),
        (
            balance(settled=100, held=400),
            balance(Unit.REQUESTS, limit=None),
            balance(Unit.STREAMS, Period.TOTAL, limit=8, held=3),
        ),
    )
    assert policy == {
        "requests": {"q": 30, "w": 60},
        "tokens-day": {"q": 70_000, "w": 86_400},
        "streams": {"q": 8},
    }
    assert state == {
        "requests": {"r": 29, "t": 2},
        "tokens-day": {"r": 69_500, "t": 21_600},
        "streams": {"r": 5},
    }


def test_of_two_limits_of_one_name_the_one_that_ends_first_is_told() -> None:
    own = balance(limit=1_000, settled=400)
    shared = balance(limit=9_000, settled=8_500, scope="global")
    unlimited = balance(limit=None, scope="team")
    for both in ((own, shared, unlimited), (unlimited, shared, own)):
        policy, state = read(balances=both)
        assert (policy["tokens-day"]["q"], state["tokens-day"]["r"]) == (9_000, 500)


@pytest.mark.parametrize(
    ("period", "now", "window_s"),
    [
        (Period.HOUR, NOW, 3_600),
        (Period.MONTH, NOW, 30 * 86_400),
        # 25 October 2026, 12:00 in Berlin, where that day has 25 hours; and 29 March, 23.
        (Period.DAY, 1_792_926_000 * SECOND_US, 25 * 3_600),
        (Period.DAY, 1_774_778_400 * SECOND_US, 23 * 3_600),
    ],
)
def test_a_window_is_as_long_as_it_is_this_time(period: Period, now: int, window_s: int) -> None:
    rule = BudgetRule("someone", Unit.TOKENS, Window(period, ZoneInfo("Europe/Berlin")), 10)
    left = Balance(rule, 0, 0, 10, rule.window.span_at(now).end)
    policy, _ = read(balances=(left,), now=now)
    assert policy[f"tokens-{period}"] == {"q": 10, "w": window_s}


def test_a_number_beyond_what_a_header_can_hold_is_the_largest_that_it_can() -> None:
    policy, state = read(balances=(balance(Unit.NANO_USD, limit=10**18),))
    assert policy["nano_usd-day"]["q"] == state["nano_usd-day"]["r"] == 999_999_999_999_999


def test_a_reset_that_is_over_already_is_now() -> None:
    _, state = read((rate(1, -1),), (balance(),), now=NOW + 10**12)
    assert state == {"requests": {"r": 1, "t": 0}, "tokens-day": {"r": 70_000, "t": 0}}


@example(name=", ", limit=1, remaining=1, period_us=1, reset_after_us=0)
@given(
    name=st.text(max_size=8),
    limit=st.integers(1, 100),
    remaining=st.integers(0, 100),
    period_us=st.integers(1, 3 * SECOND_US),
    reset_after_us=st.integers(0, 3 * SECOND_US),
)
def test_any_quota_makes_a_valid_header_with_its_own_numbers(
    name: str, limit: int, remaining: int, period_us: int, reset_after_us: int
) -> None:
    rule = RateRule(RateKey("someone", name), Quota(limit, period_us))
    policy, state = read((RateStatus(rule, remaining, reset_after_us),))
    told = "".join(c if " " <= c <= "~" and c not in '"\\' else "_" for c in name)
    window_s = math.ceil(Fraction(period_us, SECOND_US))
    assert policy == {told: {"q": limit, "w": window_s}}
    assert state == {told: {"r": remaining, "t": math.ceil(Fraction(reset_after_us, SECOND_US))}}
