"""The command line in this process, over a ledger that a test fills."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chatnest.adapters.storage import MemoryStore
from chatnest.app import cli_shared
from chatnest.app.cli import commands
from chatnest.domain.budget import Account, BudgetRule, Hold
from chatnest.domain.closing import Settlement
from chatnest.domain.steps import settle_step
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.windows import US_PER_S, to_instant
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import admitted, call, tokens_a_day, writing

Run = Callable[..., Result]

NOW = to_instant(datetime(2026, 11, 24, 12, tzinfo=UTC))
DAY_US = 86_400 * US_PER_S
# A token in costs one micro-dollar, a token out four.
PRICE = Price(input_nano_usd=1_000_000_000, output_nano_usd=4_000_000_000)
FAR = "--store=redis://:s3cret@host/0"
BERLIN = "time_zone = 'Europe/Berlin'\n"


class SharedStore(MemoryStore):
    """A ledger in memory that outlives the commands, as one on a server does."""

    def __init__(self) -> None:
        super().__init__(ManualClock(NOW))
        self.opened = 0
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1

    def settle(
        self,
        name: str,
        *rules: BudgetRule,
        at: int = NOW,
        usage: TokenUsage = TokenUsage(4, 6),  # noqa: B008  # frozen
        **changes: Any,
    ) -> None:
        """A call that was made and ended at *at*."""
        hold = self.hold(name, *rules, at=at, **changes)
        ended = Settlement(usage, PRICE, estimated=False, outcome="stop")
        asyncio.run(self.transact(*settle_step(hold, ended, at)))

    def hold(self, name: str, *rules: BudgetRule, at: int = NOW, **changes: Any) -> Hold:
        """A call that was made at *at* and is under way."""
        admission = call(name, *(rules or (tokens_a_day(1_000_000),)), tokens=20, created_at=at)
        hold = replace(admission.reserve.hold, **changes)
        demand = replace(admission.reserve.demand, price=PRICE)
        again = replace(admission, reserve=replace(admission.reserve, hold=hold, demand=demand))
        return asyncio.run(admitted(self, again, at))

    def write(self, *accounts: Account) -> None:
        asyncio.run(self.transact(*writing(accounts)))


def runner(store: SharedStore, folder: Path, patch: pytest.MonkeyPatch) -> Run:
    """Runs ``chatnest`` in *folder*, where every store but memory and SQLite is *store*."""
    patch.chdir(folder)
    patch.setenv("XDG_DATA_HOME", str(folder / "data"))

    def opened(*arguments: object) -> SharedStore:
        store.opened += 1
        return store

    def run(*arguments: str, file: str = "") -> Result:
        Path("chatnest.toml").write_text(file, "utf-8")
        return CliRunner().invoke(commands, list(arguments))

    patch.setattr(cli_shared, "open_store", opened)
    return run
