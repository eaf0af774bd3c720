"""Recounts and summaries, against sums over calls that are taken one account and call at a time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.audit import Grouping, Recount, UsageSummary, UsageTotal
from chatnest.domain.budget import Account, AccountKey, Hold, HoldLine, HoldState, Unit
from chatnest.domain.ledger import LedgerPage
from chatnest.domain.windows import Period
from chatnest.testing.strategies import usages

HOUR_US = 3_600_000_000
KEYS = [AccountKey(scope, Unit.TOKENS, Period.TOTAL, 0) for scope in "abc"]
# East and west of UTC, with clock changes, and with a date line that was crossed.
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]
SPRING = 1_774_486_800_000_000
"""2026-03-26: the days around it have clock changes in Berlin."""


def lines() -> st.SearchStrategy[tuple[HoldLine, ...]]:
    charges = st.none() | st.integers(0, 3)
    line = st.builds(HoldLine, st.sampled_from(KEYS), st.integers(0, 3), charges)
    return st.lists(line, max_size=3, unique_by=lambda line: line.account).map(tuple)


def holds() -> st.SearchStrategy[Hold]:
    """Calls in any state, with any of the numbers there may be."""
    return st.builds(
        Hold,
        id=st.uuids().map(str),
        request_id=st.just("request"),
        principal=st.sampled_from(["ann", "bob"]),
        profile=st.just("balanced"),
        provider=st.sampled_from(["one", "two"]),
        model=st.sampled_from(["parrot", "crow"]),
        lines=lines(),
        output_cap=st.just(1),
        created_at=st.integers(-50, 50).map(lambda hours: SPRING + hours * HOUR_US // 2),
        expires_at=st.just(SPRING),
        state=st.sampled_from(HoldState),
        closed_at=st.none(),
        usage=st.none() | usages(9, 9),
        cost_nano_usd=st.none() | st.integers(0, 5),
        estimated=st.booleans(),
        outcome=st.none(),
    )


def journals() -> st.SearchStrategy[list[Hold]]:
    return st.lists(holds(), max_size=8, unique_by=lambda hold: hold.id)


def charged(journal: Sequence[Hold], key: AccountKey) -> int:
    """What the calls that are over were charged on the account of *key*."""
    total = 0
    for hold in journal:
        for line in hold.lines:
            if line.account == key and hold.state != "held" and line.charged is not None:
                total += line.charged
    return total


def held(journal: Sequence[Hold], key: AccountKey) -> int:
    """What the calls that are open hold on the account of *key*."""
    lines = [line for hold in journal if hold.state == "held" for line in hold.lines]
    return sum(line.amount for line in lines if line.account == key)


def paged(accounts: Sequence[Account], journal: Sequence[Hold], size: int) -> list[LedgerPage]:
    """A snapshot in pages; an account that comes early comes again, and then the later counts."""
    stale = [Account(account.key, None, 99, 99, 99) for account in accounts[:1]]
    rest = [
        LedgerPage(accounts[first : first + size], journal[first : first + size])
        for first in range(0, max(len(accounts), len(journal)), size)
    ]
    return [LedgerPage(stale), *rest]


@given(journal=journals(), carried=st.tuples(*[st.integers(0, 2)] * 3), size=st.integers(1, 4))
def test_accounts_that_are_the_sums_of_their_calls_have_no_drift(
    journal: list[Hold], carried: tuple[int, ...], size: int
) -> None:
    accounts = [
        Account(key, None, charged(journal, key) + before, held(journal, key), before)
        for key, before in zip(KEYS, carried, strict=True)
    ]
    recount = Recount()
    for page in paged(accounts, journal, size):
        recount.add(page)
    assert recount.drifts() == ()
    assert (recount.calls, recount.accounts) == (len(journal), 3)


@given(
    journal=journals(),
    stored=st.tuples(*[st.none() | st.tuples(*[st.integers(0, 4)] * 3)] * 3),
    size=st.integers(1, 4),
)
def test_every_account_that_is_not_the_sum_of_its_calls_is_named(
    journal: list[Hold], stored: tuple[tuple[int, int, int] | None, ...], size: int
) -> None:
    accounts = [
        Account(key, None, *numbers)
        for key, numbers in zip(KEYS, stored, strict=True)
        if numbers is not None
    ]
    recount = Recount()
    for page in paged(accounts, journal, size):
        recount.add(page)
    expected = []
    for key, numbers in zip(KEYS, stored, strict=True):
        settled, holding, carried = numbers or (0, 0, 0)
        told = (settled, holding)
        by_journal = (carried + charged(journal, key), held(journal, key))
        if told != by_journal:
            expected.append((key, *told, *by_journal))
    assert [
        (drift.key, drift.settled, drift.held, drift.settled_by_journal, drift.held_by_journal)
        for drift in recount.drifts()
    ] == expected


def group_of(hold: Hold, by: Grouping, zone: str) -> str:
    if by is Grouping.PRINCIPAL:
        return hold.principal
    if by is Grouping.MODEL:
        return hold.provider + "/" + hold.model
    began = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=hold.created_at)
    return began.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d")


@given(
    journal=journals(),
    by=st.sampled_from(Grouping),
    zone=st.sampled_from(ZONES),
    cut=st.integers(0, 8),
)
def test_each_group_is_the_sum_of_its_calls(
    journal: list[Hold], by: Grouping, zone: str, cut: int
) -> None:
    summary = UsageSummary(by, ZoneInfo(zone))
    summary.add(journal[:cut])
    summary.add(journal[cut:])
    used = [hold for hold in journal if hold.state in ("settled", "expired")]
    groups = sorted({group_of(hold, by, zone) for hold in used})
    expected = []
    for group in groups:
        calls = [hold for hold in used if group_of(hold, by, zone) == group]
        known = [hold.usage for hold in calls if hold.usage is not None]
        expected.append(
            UsageTotal(
                group,
                calls=len(calls),
                input_tokens=sum(usage.input_tokens for usage in known),
                output_tokens=sum(usage.output_tokens for usage in known),
                cached_input_tokens=sum(usage.cached_input_tokens for usage in known),
                reasoning_tokens=sum(usage.reasoning_tokens for usage in known),
                cost_nano_usd=sum(hold.cost_nano_usd or 0 for hold in calls),
                estimated=len([hold for hold in calls if hold.estimated]),
                unpriced=len([hold for hold in calls if hold.cost_nano_usd is None]),
                lost=len([hold for hold in calls if hold.state == "expired"]),
            )
        )
    assert list(summary.totals()) == expected
