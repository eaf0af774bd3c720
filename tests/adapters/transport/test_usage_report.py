"""The report of limits: exact money, RFC 3339 times, one entry for each limit."""

import re
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport import usage_report
from chatnest.adapters.transport.usage_report import decimal_usd
from chatnest.domain.budget import Balance, Unit
from chatnest.domain.profiles import BALANCED
from chatnest.domain.usage_view import DayAccount, DayUsage, UsageView
from chatnest.domain.windows import Period
from tests.adapters.transport.examples import balance


def view(
    *balances: Balance, principal: str = "someone", history: tuple[DayUsage, ...] = ()
) -> UsageView:
    return UsageView(principal, BALANCED, balances, history)


def test_a_report_has_the_caller_the_profile_and_each_limit() -> None:
    report = usage_report(
        view(
            balance(settled=150, held=2_048),
            balance(Unit.STREAMS, Period.TOTAL, limit=8, held=1),
            balance(Unit.NANO_USD, Period.MONTH, limit=None, settled=5),
            principal="user:7",
        )
    )
    assert msgspec.json.encode(report) == (
        b'{"principal":"user:7","profile":"balanced","limits":['
        b'{"name":"tokens-day","scope":"someone","limit":70000,"used":150,"held":2048,"remaining":67802,'
        b'"resetsAt":"2026-11-23T00:00:00Z"},'
        b'{"name":"streams","scope":"someone","limit":8,"used":0,"held":1,"remaining":7,"resetsAt":null},'
        b'{"name":"nano_usd-month","scope":"someone","limit":null,"used":5,"held":0,"remaining":null,'
        b'"resetsAt":"2026-12-01T00:00:00Z"}],"history":[]}'
    )


def test_a_limit_that_is_shared_says_with_whom() -> None:
    report = usage_report(view(balance(), balance(scope="global")))
    assert [(limit.name, limit.scope) for limit in report.limits] == [
        ("tokens-day", "someone"),
        ("tokens-day", "global"),
    ]


def test_the_history_has_each_day_with_what_its_limits_counted() -> None:
    tokens, requests = balance().rule, balance(Unit.REQUESTS).rule
    today = DayUsage(
        date(2026, 11, 22), (DayAccount(tokens, 150, 2_048), DayAccount(requests, 3, 1))
    )
    before = DayUsage(date(2026, 11, 9), (DayAccount(tokens, 7, 0),))
    report = usage_report(view(history=(today, before)))
    assert msgspec.json.encode(report.history) == (
        b'[{"day":"2026-11-22","limits":[{"name":"tokens-day","used":150,"held":2048},'
        b'{"name":"requests-day","used":3,"held":1}]},'
        b'{"day":"2026-11-09","limits":[{"name":"tokens-day","used":7,"held":0}]}]'
    )


@pytest.mark.parametrize(
    ("amount_nano_usd", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (10, "0.00000001"),
        (1_000_000_000, "1"),
        (10_000_000_000, "10"),
        (1_234_567_891, "1.234567891"),
        (9_007_199_254_740_993_000_000_000, "9007199254740993"),
    ],
)
def test_money_is_an_exact_decimal(amount_nano_usd: int, text: str) -> None:
    assert decimal_usd(amount_nano_usd) == text


@given(st.integers(0, 10**20))
def test_no_nano_dollar_is_lost(amount_nano_usd: int) -> None:
    text = decimal_usd(amount_nano_usd)
    assert Decimal(text) * 10**9 == amount_nano_usd
    assert re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", text)
