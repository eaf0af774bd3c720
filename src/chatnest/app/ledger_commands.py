"""The commands that read a ledger and keep it in order: ``chatnest ledger``, ``chatnest usage``.

They open the store that the configuration names, beside the servers that use it. What they read is
read whole before anything is printed.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from chatnest.app.cli_shared import (
    CommandError,
    Commands,
    ConfigurationCommandError,
    ask_store,
    load_settings,
    store_options,
)
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_policy import to_budgets, to_zone
from chatnest.app.ledger_report import (
    LedgerReport,
    Report,
    UsageHistory,
    account_report,
    account_table,
    drift_line,
    hold_report,
    hold_table,
    sum_of,
    usage_row,
    usage_table,
)
from chatnest.app.store_choice import StoreChoice, StoreKind, choose_store
from chatnest.domain.audit import Grouping, Recount, UsageSummary, UsageTotal
from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ports import LedgerStore
from chatnest.domain.upkeep import forget_history
from chatnest.domain.windows import US_PER_S, Period, Window, to_datetime, to_instant

T = TypeVar("T")

_DAY_US = 24 * 3_600 * US_PER_S
_USUAL_DAYS = 30
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


class _Ledger:
    """The ledger that a command is about; *read* is all that the command asks of it."""

    def __init__(self, config: Path | None, store: str | None) -> None:
        self.settings: ChatNestConfig = load_settings(config, {"store": store})
        self.zone: tzinfo = to_zone(self.settings.time_zone, "time_zone")
        self.choice: StoreChoice = choose_store(self.settings)
        if not self.choice.is_shared:
            raise ConfigurationCommandError(
                "store: a ledger in memory belongs to its server, and no command can see it. "
                "Name the store that the server keeps accounts in with --store."
            )

    def ask(self, question: Callable[[LedgerStore], Awaitable[T]]) -> T:
        """What the store answers to *question*; it is opened and closed for that."""
        if self.choice.kind is StoreKind.SQLITE and not Path(self.choice.address).is_file():
            # Opening would make an empty one: where a name is misspelt, all would seem well.
            raise CommandError(f"there is no ledger at {self.choice.shown}; a server makes it.")
        try:
            return ask_store(self.choice, question)
        except StoreUnavailableError as error:
            raise CommandError(f"{self.choice.shown}: {error}") from error


@click.group("ledger", cls=Commands)
def ledger_commands() -> None:
    """Look at the accounts, check them, and prune their history."""


@ledger_commands.command("verify")
@store_options
def verify_command(config: Path | None, store: str | None) -> None:
    """Recompute every account from its calls; exit code 1 where one is not their sum."""
    ledger = _Ledger(config, store)
    recount = ledger.ask(_recount)
    drifts = recount.drifts()
    for drift in drifts:
        click.echo(drift_line(drift, ledger.zone))
    counted = f"accounts {recount.accounts:,}, calls {recount.calls:,}"
    if drifts:
        raise CommandError(
            f"{counted}, drifting {len(drifts):,}: these accounts are not the sum of their calls."
        )
    click.echo(f"{counted}: every account is the sum of its calls.")


@ledger_commands.command("show")
@store_options
@click.option("--scope", help="Only this scope, such as global or key:alice.")
@click.option("--all", "everything", is_flag=True, help="Windows of the past as well.")
@click.option("--json", "as_json", is_flag=True, help="Exact values for programs.")
def show_command(
    config: Path | None, store: str | None, scope: str | None, everything: bool, as_json: bool
) -> None:
    """Show accounts, and the open calls that hold something on them."""
    ledger = _Ledger(config, store)
    now, accounts, holds = ledger.ask(_read_open)
    is_current = _currency(ledger.settings, now)
    accounts = [
        account
        for account in accounts
        if scope in (None, account.key.scope)
        and (everything or account.held or is_current(account.key))
    ]
    holds = [hold for hold in holds if scope is None or _is_on(hold, scope)]
    if as_json:
        _print_json(
            LedgerReport(
                ledger.choice.shown,
                to_datetime(now),
                tuple(map(account_report, accounts)),
                tuple(map(hold_report, holds)),
            )
        )
        return
    _print_lines(*account_table(accounts, ledger.zone))
    if holds:
        _print_lines("", *hold_table(holds, now, ledger.zone))


@ledger_commands.command("prune")
@store_options
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(1, 36_500),
    metavar="DAYS",
    help="How many days calls are kept; left out: history_days.",
)
def prune_command(config: Path | None, store: str | None, days: int | None) -> None:
    """Forget calls that ended long ago; their accounts keep what they were charged."""
    ledger = _Ledger(config, store)
    kept = ledger.settings.history_days if days is None else days

    forgotten = ledger.ask(lambda store: forget_history(store, kept * _DAY_US))
    click.echo(f"calls forgotten: {forgotten:,}, which ended more than {kept:,} days ago.")


@click.command("usage")
@store_options
@click.option(
    "--by",
    type=click.Choice([grouping.value for grouping in Grouping]),
    default=Grouping.DAY.value,
    help="What is summed up; else by day.",
)
@click.option(
    "--since",
    metavar="YYYY-MM-DD|7d",
    help="The first day, or how many days with today; else 30d.",
)
@click.option("--json", "as_json", is_flag=True, help="Exact values for programs.")
def usage_command(
    config: Path | None, store: str | None, by: str, since: str | None, as_json: bool
) -> None:
    """Sum up what calls used, by day, principal or model."""
    ledger = _Ledger(config, store)
    first_day = _first_day(since)

    async def read(store: LedgerStore) -> tuple[int, tuple[UsageTotal, ...]]:
        today = to_datetime(await store.now(), ledger.zone).date()
        midnight = datetime.combine(first_day(today), time(), tzinfo=ledger.zone)
        begin = max(0, to_instant(midnight))
        summary = UsageSummary(Grouping(by), ledger.zone)
        async with aclosing(store.snapshot(begin)) as pages:
            async for page in pages:
                summary.add(page.holds)
        return begin, summary.totals()

    begin, totals = ledger.ask(read)
    if as_json:
        rows = tuple(map(usage_row, totals))
        total = usage_row(sum_of(totals))
        zone = ledger.settings.time_zone
        _print_json(UsageHistory(by, to_datetime(begin), zone, rows, total))
    else:
        _print_lines(*usage_table(by, totals))


async def _recount(store: LedgerStore) -> Recount:
    recount = Recount()
    async with aclosing(store.snapshot()) as pages:
        async for page in pages:
            recount.add(page)
    return recount


async def _read_open(store: LedgerStore) -> tuple[int, list[Account], list[Hold]]:
    """The store's time, every account, and the open holds, the oldest first."""
    now = await store.now()
    accounts: dict[AccountKey, Account] = {}
    holds: list[Hold] = []
    # Nothing was made tomorrow: of the closed holds none is read.
    async with aclosing(store.snapshot(now + _DAY_US)) as pages:
        async for page in pages:
            accounts.update((account.key, account) for account in page.accounts)
            holds += (hold for hold in page.holds if hold.state is HoldState.HELD)
    return (
        now,
        [accounts[key] for key in sorted(accounts)],
        sorted(holds, key=lambda hold: (hold.created_at, hold.id)),
    )


def _currency(settings: ChatNestConfig, now: int) -> Callable[[AccountKey], bool]:
    """Whether the window of an account is one of *now*, in a zone that the settings name."""
    zones = {to_zone(settings.time_zone, "time_zone")}
    zones |= {rule.window.zone for rule in to_budgets(settings)}
    windows = [Window(period, zone) for period in Period for zone in zones]
    current = {(window.period, window.span_at(now).start) for window in windows}
    return lambda key: (key.period, key.start) in current


def _is_on(hold: Hold, scope: str) -> bool:
    return any(key.scope == scope for key in hold.account_keys)


def _first_day(since: str | None) -> Callable[[date], date]:
    """The first day that *since* means, as a function of today."""
    text = f"{_USUAL_DAYS}d" if since is None else since
    days = _DAYS.fullmatch(text)
    if days is not None:
        before = timedelta(days=int(days[1]) - 1)
        return lambda today: today - before
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a day such as 2026-11-24 nor a number of days such as 7d.",
            param_hint="--since",
        ) from None
    return lambda today: day


def _print_json(report: Report) -> None:
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    click.echo(text)


def _print_lines(*lines: str) -> None:
    for line in lines:
        click.echo(line)
