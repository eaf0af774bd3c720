"""What holds for every command over a ledger; verifying and pruning."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from chatnest.domain.budget import Account, AccountKey, Hold, Unit
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError
from chatnest.domain.ledger import LedgerPage
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import read_ledger, tokens_a_day
from tests.support.command_line import DAY_US, FAR, NOW, Run, SharedStore, runner


@pytest.fixture
def store() -> SharedStore:
    return SharedStore()


@pytest.fixture
def run(store: SharedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(store, tmp_path, monkeypatch)


EVERY_COMMAND = (
    ["ledger", "verify"],
    ["ledger", "show"],
    ["ledger", "show", "--json"],
    ["ledger", "prune"],
    ["usage"],
    ["usage", "--json"],
)


class TestEveryCommand:
    @pytest.mark.parametrize("command", EVERY_COMMAND)
    def test_a_ledger_in_memory_belongs_to_its_server(self, run: Run, command: list[str]) -> None:
        result = run(*command, "--store=memory://")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            "chatnest: store: a ledger in memory belongs to its server, and no command can see it. "
            "Name the store that the server keeps accounts in with --store.\n"
        )

    @pytest.mark.parametrize("command", EVERY_COMMAND)
    def test_a_store_that_fails_halfway_is_one_sentence_and_nothing_else(
        self, run: Run, store: SharedStore, command: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def snapshot(since: int = 0) -> AsyncGenerator[LedgerPage, None]:
            yield LedgerPage([Account(AccountKey("ann", Unit.TOKENS, Period.TOTAL, 0), 1, 2, 3)])
            raise StoreUnavailableError("the connection was lost")

        async def closed_holds(before: int, most: int) -> list[Hold]:
            raise StoreUnavailableError("the connection was lost")

        monkeypatch.setattr(store, "snapshot", snapshot)
        monkeypatch.setattr(store, "closed_holds", closed_holds)
        result = run(*command, FAR)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "chatnest: redis://host/0: the connection was lost\n"
        assert (store.opened, store.closed) == (1, 1)

    @pytest.mark.parametrize("command", EVERY_COMMAND)
    def test_a_ledger_that_must_be_mended_is_one_sentence_and_exit_code_2(
        self, run: Run, store: SharedStore, command: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def now() -> int:
            raise ConfigurationError("store: the ledger has schema version 9")

        def snapshot(since: int = 0) -> Any:
            raise ConfigurationError("store: the ledger has schema version 9")

        monkeypatch.setattr(store, "now", now)
        monkeypatch.setattr(store, "snapshot", snapshot)
        result = run(*command, FAR)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "chatnest: store: the ledger has schema version 9\n"
        assert (store.opened, store.closed) == (1, 1)

    @pytest.mark.parametrize("command", EVERY_COMMAND)
    def test_a_file_that_is_not_there_is_named_and_not_made(
        self, run: Run, tmp_path: Path, command: list[str]
    ) -> None:
        for flags, shown in (
            (["--store=sqlite:///typo.db"], "sqlite:///typo.db"),
            ([], f"sqlite:///{tmp_path}/data/chatnest/ledger.db"),
        ):
            result = run(*command, *flags)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr == (
                f"chatnest: there is no ledger at {shown}; a server makes it.\n"
            )
        assert [file.name for file in tmp_path.iterdir()] == ["chatnest.toml"]

    def test_the_store_is_the_one_of_the_file_that_is_named(self, run: Run) -> None:
        Path("other.toml").write_text("store = 'memory://'")
        result = run("usage", "--config=other.toml")
        assert result.exit_code == 2
        assert "belongs to its server" in result.stderr


class TestVerify:
    def test_accounts_that_are_the_sums_of_their_calls_are_counted(
        self, run: Run, store: SharedStore
    ) -> None:
        store.settle("1")
        store.hold("2", tokens_a_day(100), tokens_a_day(100, "bob"))
        result = run("ledger", "verify", FAR)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == "accounts 2, calls 2: every account is the sum of its calls.\n"

    def test_an_empty_ledger_is_in_order(self, run: Run) -> None:
        assert run("ledger", "verify", FAR).stdout.startswith("accounts 0, calls 0: every")

    def test_each_account_that_drifts_is_one_line_and_the_exit_code_is_1(
        self, run: Run, store: SharedStore
    ) -> None:
        store.settle("1", tokens_a_day(100))
        midnight = NOW - NOW % DAY_US
        store.write(
            Account(AccountKey("ann", Unit.TOKENS, Period.DAY, midnight), 100, 9, 2),
            Account(AccountKey("ann", Unit.NANO_USD, Period.TOTAL, 0), None, 1_500_000_000),
            Account(AccountKey("b\nb", Unit.TOKENS, Period.HOUR, NOW), None, 1_234),
        )
        result = run("ledger", "verify", FAR)
        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            "ann, total: $1.50 settled and $0.00 held stored, "
            "$0.00 settled and $0.00 held by calls",
            "ann, day 2026-11-24: 9 tokens settled and 2 tokens held stored, "
            "10 tokens settled and 0 tokens held by calls",
            "b�b, hour 2026-11-24 12:00: 1,234 tokens settled and 0 tokens held stored, "
            "0 tokens settled and 0 tokens held by calls",
        ]
        assert result.stderr == (
            "chatnest: accounts 3, calls 1, drifting 3: these accounts are not the sum of their "
            "calls.\n"
        )

    def test_what_was_pruned_is_no_drift(self, run: Run, store: SharedStore) -> None:
        store.settle("1", at=NOW - 9 * DAY_US)
        assert run("ledger", "prune", "--older-than=8", FAR).exit_code == 0
        assert run("ledger", "verify", FAR).stdout.startswith("accounts 1, calls 0: every")


class TestPrune:
    def ages(self, store: SharedStore) -> set[str]:
        return set(asyncio.run(read_ledger(store)).holds)

    def test_calls_that_ended_before_the_history_began_are_forgotten(
        self, run: Run, store: SharedStore
    ) -> None:
        for age in (0, 399, 401, 500):
            store.settle(str(age), at=NOW - age * DAY_US)
        result = run("ledger", "prune", FAR)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == "calls forgotten: 2, which ended more than 400 days ago.\n"
        assert self.ages(store) == {"0", "399"}

    @pytest.mark.parametrize(
        ("flags", "file", "days", "left"),
        [
            (["--older-than=2"], "", 2, {"0", "1"}),
            ([], "history_days = 4", 4, {"0", "1", "3"}),
            (["--older-than=1"], "history_days = 4", 1, {"0", "1"}),
        ],
    )
    def test_how_long_they_are_kept_is_the_flags_or_the_settings(
        self,
        run: Run,
        store: SharedStore,
        flags: list[str],
        file: str,
        days: int,
        left: set[str],
    ) -> None:
        for age in (0, 1, 3, 5):
            store.settle(str(age), at=NOW - age * DAY_US)
        result = run("ledger", "prune", *flags, FAR, file=file)
        assert f" more than {days} days ago" in result.stdout
        assert self.ages(store) == left

    @pytest.mark.parametrize("days", ["0", "-1", "x", "40000"])
    def test_a_day_is_the_least_that_is_kept(self, run: Run, store: SharedStore, days: str) -> None:
        result = run("ledger", "prune", f"--older-than={days}", FAR)
        assert (result.exit_code, result.stdout, store.opened) == (2, "", 0)
