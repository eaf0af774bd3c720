"""Accounts and open calls as the command line shows them."""

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatnest.domain.budget import Account, AccountKey, BudgetRule, Unit
from chatnest.domain.ledger import LedgerPage
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S, Period, Window, to_instant
from chatnest.testing.ledger_cases import call, closed, tokens_a_day
from tests.support.command_line import BERLIN, DAY_US, FAR, NOW, Run, SharedStore, runner


@pytest.fixture
def store() -> SharedStore:
    return SharedStore()


@pytest.fixture
def run(store: SharedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(store, tmp_path, monkeypatch)


USD_A_MONTH = BudgetRule("global", Unit.NANO_USD, Window(Period.MONTH), 2_500_000_000)
STREAMS = BudgetRule("ann", Unit.STREAMS, Window(Period.TOTAL), 3)


class TestShow:
    def test_accounts_and_open_calls_are_tables(self, run: Run, store: SharedStore) -> None:
        rules = (tokens_a_day(70_000), STREAMS, USD_A_MONTH)
        store.settle("1", *rules, usage=TokenUsage(4_000, 6_000))
        store.hold("2", *rules, at=NOW - 10 * US_PER_S)
        result = run("ledger", "show", FAR)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.splitlines() == [
            "scope   window          unit      limit  settled      held      left",
            "------  --------------  -------  ------  -------  --------  --------",
            "ann     total           streams       3        0         1         2",
            "ann     day 2026-11-24  tokens   70,000   10,000        20    59,980",
            "global  month 2026-11   usd        2.50    0.028  0.000068  2.471932",
            "",
            "call  principal  model            since                lease  holds",
            "----  ---------  ---------------  -------------------  -----  --------------------",
            "2     ann        scripted/parrot  2026-11-24 11:59:50  50 s   20 tokens, $0.000068",
        ]

    def test_windows_of_the_past_are_shown_where_they_hold_something_or_are_asked_for(
        self, run: Run, store: SharedStore
    ) -> None:
        store.settle("1", at=NOW - 2 * DAY_US)
        store.settle("2")
        store.hold("3", at=NOW - DAY_US)
        days = [line.split()[2] for line in run("ledger", "show", FAR).stdout.splitlines()[2:4]]
        assert days == ["2026-11-23", "2026-11-24"]
        everything = run("ledger", "show", "--all", FAR).stdout.splitlines()
        assert [line.split()[2] for line in everything[2:5]] == [
            "2026-11-22",
            "2026-11-23",
            "2026-11-24",
        ]
        assert everything[-1].split()[5] == "over"

    def test_current_is_what_is_so_in_the_configured_zones(
        self, run: Run, store: SharedStore
    ) -> None:
        starts = {
            name: to_instant(datetime(2026, 11, 23, hour, tzinfo=UTC))
            for name, hour in (("berlin", 23), ("tokyo", 15), ("nowhere", 20))
        }
        for name, start in starts.items():
            store.write(Account(AccountKey(name, Unit.TOKENS, Period.DAY, start), None))
        budget = (
            "[[budgets]]\nscope = 'principal'\nunit = 'tokens'\nperiod = 'day'\nlimit = 1\n"
            "zone = 'Asia/Tokyo'\n"
        )
        shown = run("ledger", "show", FAR, file=BERLIN + budget).stdout.splitlines()[2:]
        assert shown == [
            "berlin  day 2026-11-24        tokens      -        0     0     -",
            "tokyo   day 2026-11-23 16:00  tokens      -        0     0     -",
        ]

    def test_one_scope_can_be_shown_alone_with_the_calls_on_it(
        self, run: Run, store: SharedStore
    ) -> None:
        store.hold("1", tokens_a_day(100), tokens_a_day(100, "global"))
        store.hold("2", tokens_a_day(100, "bob"), tokens_a_day(100, "global"))

        def told(scope: str) -> tuple[list[str], list[str]]:
            shown = json.loads(run("ledger", "show", "--json", f"--scope={scope}", FAR).stdout)
            scopes = [account["scope"] for account in shown["accounts"]]
            return scopes, [hold["id"] for hold in shown["holds"]]

        assert told("ann") == (["ann"], ["1"])
        assert told("global") == (["global"], ["1", "2"])
        assert told("nobody") == ([], [])

    def test_after_an_overrun_nothing_is_left(self, run: Run, store: SharedStore) -> None:
        store.settle("1", tokens_a_day(100), usage=TokenUsage(4, 600))
        assert run("ledger", "show", FAR).stdout.split()[-4:] == ["100", "604", "0", "0"]
        (told,) = json.loads(run("ledger", "show", "--json", FAR).stdout)["accounts"]
        assert (told["limit"], told["settled"], told["remaining"]) == (100, 604, 0)

    def test_json_has_every_amount_exactly(self, run: Run, store: SharedStore) -> None:
        store.hold("1", STREAMS, USD_A_MONTH)
        store.write(Account(AccountKey("ann", Unit.TOKENS, Period.TOTAL, 0), None, 2**63 - 1, 0, 7))
        result = run("ledger", "show", "--json", FAR)
        assert json.loads(result.stdout) == {
            "store": "redis://host/0",
            "at": "2026-11-24T12:00:00Z",
            "accounts": [
                {
                    "scope": "ann",
                    "unit": "streams",
                    "period": "total",
                    "startsAt": None,
                    "limit": 3,
                    "settled": 0,
                    "held": 1,
                    "carried": 0,
                    "remaining": 2,
                },
                {
                    "scope": "ann",
                    "unit": "tokens",
                    "period": "total",
                    "startsAt": None,
                    "limit": None,
                    "settled": 2**63 - 1,
                    "held": 0,
                    "carried": 7,
                    "remaining": None,
                },
                {
                    "scope": "global",
                    "unit": "nano_usd",
                    "period": "month",
                    "startsAt": "2026-11-01T00:00:00Z",
                    "limit": 2_500_000_000,
                    "settled": 0,
                    "held": 68_000,
                    "carried": 0,
                    "remaining": 2_499_932_000,
                },
            ],
            "holds": [
                {
                    "id": "1",
                    "requestId": "request of 1",
                    "principal": "ann",
                    "profile": "balanced",
                    "provider": "scripted",
                    "model": "parrot",
                    "createdAt": "2026-11-24T12:00:00Z",
                    "expiresAt": "2026-11-24T12:01:00Z",
                    "lines": [
                        {
                            "scope": "ann",
                            "unit": "streams",
                            "period": "total",
                            "startsAt": None,
                            "amount": 1,
                        },
                        {
                            "scope": "global",
                            "unit": "nano_usd",
                            "period": "month",
                            "startsAt": "2026-11-01T00:00:00Z",
                            "amount": 68_000,
                        },
                    ],
                }
            ],
        }

    def test_of_an_account_that_comes_twice_the_later_one_is_shown(
        self, run: Run, store: SharedStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = AccountKey("ann", Unit.TOKENS, Period.MINUTE, NOW - DAY_US)
        asked: list[int] = []

        async def snapshot(since: int = 0) -> AsyncGenerator[LedgerPage, None]:
            asked.append(since)
            yield LedgerPage([Account(key, 100, 1, held=20)], [call("1").reserve.hold])
            yield LedgerPage([Account(key, 100, 11, held=0)], [closed(call("2").reserve.hold)])

        monkeypatch.setattr(store, "snapshot", snapshot)
        assert run("ledger", "show", FAR).stdout.splitlines()[0].startswith("scope")
        shown = json.loads(run("ledger", "show", "--json", "--all", FAR).stdout)
        assert [(one["settled"], one["held"]) for one in shown["accounts"]] == [(11, 0)]
        assert [hold["id"] for hold in shown["holds"]] == ["1"]
        assert min(asked) > NOW, "the journal was read"
