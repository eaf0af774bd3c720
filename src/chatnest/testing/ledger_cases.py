"""What the contract suite of ledger stores works with: calls, rows, and a ledger without a store.

Nothing here knows how a store keeps its rows: everything goes through the port.
"""

from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from chatnest.domain.admission import Admission, Admitted, RateRule
from chatnest.domain.audit import Drift, Recount
from chatnest.domain.budget import (
    Account,
    AccountKey,
    BudgetRule,
    Demand,
    Hold,
    HoldState,
    Reserve,
    Unit,
)
from chatnest.domain.closing import Settlement
from chatnest.domain.ledger import Change, Keys, LedgerPage, RateKey, Rows, Step
from chatnest.domain.ports import LedgerStore
from chatnest.domain.rate_limit import RateState
from chatnest.domain.steps import Transaction, admit_step
from chatnest.domain.usage import FREE, Price, TokenUsage
from chatnest.domain.windows import Period, Window
from chatnest.testing.clock import DEFAULT_START

T = TypeVar("T")

NOON = DEFAULT_START + 12 * 3_600 * 1_000_000
"""An instant in the middle of a day, in microseconds since the Unix epoch."""

LEASE_US = 60 * 1_000_000
"""How long the holds of the suite stand, in microseconds."""

_LONGEST_WAIT_S = 30


class PlainLedger:
    """Rows in dicts, changed by one step after another: what every store must be equal to."""

    def __init__(self) -> None:
        self.accounts: dict[AccountKey, Account] = {}
        self.rates: dict[RateKey, RateState] = {}
        self.holds: dict[str, Hold] = {}

    def apply(self, keys: Keys, step: Step[T]) -> T:
        """Apply *step* to the rows at *keys* and keep what it writes."""
        change = step(self.rows(keys))
        self.accounts.update((account.key, account) for account in change.accounts)
        self.rates.update(change.rates)
        self.holds.update((hold.id, hold) for hold in change.holds)
        for key in change.forgotten_accounts:
            self.accounts.pop(key, None)
        for hold_id in change.forgotten_holds:
            self.holds.pop(hold_id, None)
        return change.result

    def rows(self, keys: Keys) -> Rows:
        """The rows among *keys*."""
        return Rows(
            {key: row for key, row in self.accounts.items() if key in keys.accounts},
            {key: row for key, row in self.rates.items() if key in keys.rates},
            {key: row for key, row in self.holds.items() if key in keys.holds},
        )

    def everything(self) -> Keys:
        """The keys of all rows."""
        return Keys(tuple(self.accounts), tuple(self.rates), tuple(self.holds))


@dataclass
class Ledger:
    """What a snapshot says: all accounts, and the holds that were asked for."""

    accounts: dict[AccountKey, Account]
    holds: dict[str, Hold]

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """The accounts that are not the sum of their calls."""
        recount = Recount()
        recount.add(LedgerPage(list(self.accounts.values()), list(self.holds.values())))
        return recount.drifts()

    def of(self, prefix: str) -> "Ledger":
        """The accounts whose scope, and the holds whose id, begins with *prefix*."""
        return Ledger(
            {key: row for key, row in self.accounts.items() if key.scope.startswith(prefix)},
            {name: row for name, row in self.holds.items() if name.startswith(prefix)},
        )


def together(pages: Iterable[LedgerPage]) -> Ledger:
    """The rows of all *pages* of one snapshot; fails where a hold comes twice."""
    ledger = Ledger({}, {})
    for page in pages:
        ledger.accounts.update((account.key, account) for account in page.accounts)
        for hold in page.holds:
            assert hold.id not in ledger.holds, f"{hold.id} comes twice in one snapshot"
            ledger.holds[hold.id] = hold
    return ledger


async def read_ledger(store: LedgerStore, since: int = 0) -> Ledger:
    """A snapshot of *store*."""
    async with aclosing(store.snapshot(since)) as pages:
        return together([page async for page in pages])


async def end(pages: AsyncGenerator[LedgerPage, None]) -> None:
    """Leave a snapshot where it is."""
    await pages.aclose()


def writing(
    accounts: Iterable[Account] = (),
    rates: Iterable[tuple[RateKey, RateState]] = (),
    holds: Iterable[Hold] = (),
) -> Transaction[None]:
    """A transaction that names these rows and writes them."""
    change = Change(None, tuple(accounts), tuple(rates), tuple(holds))
    return keys_of(change), lambda rows: change


def forgetting(
    accounts: tuple[AccountKey, ...] = (), holds: tuple[str, ...] = ()
) -> Transaction[None]:
    """A transaction that names these rows and forgets them."""
    change = Change(None, forgotten_accounts=accounts, forgotten_holds=holds)
    return Keys(accounts, (), holds), lambda rows: change


def keys_of(change: Change[T]) -> Keys:
    """The keys of the rows that *change* writes."""
    return Keys(
        tuple(account.key for account in change.accounts),
        tuple(key for key, _ in change.rates),
        tuple(hold.id for hold in change.holds),
    )


async def read(store: LedgerStore, keys: Keys) -> Rows:
    """The rows of *store* among *keys*."""
    return await store.transact(keys, lambda rows: Change(rows))


async def read_account(store: LedgerStore, key: AccountKey) -> Account | None:
    """The account of *store* at *key*."""
    return (await read(store, Keys(accounts=(key,)))).accounts.get(key)


async def read_hold(store: LedgerStore, hold_id: str) -> Hold | None:
    """The hold of *store* with *hold_id*."""
    return (await read(store, Keys(holds=(hold_id,)))).holds.get(hold_id)


async def spent_and_held(store: LedgerStore, key: AccountKey) -> tuple[int, int]:
    """What is settled and what is held at *key*; zeros where nothing is stored."""
    account = await read_account(store, key)
    return (0, 0) if account is None else (account.settled, account.held)


def exact(rows: Rows) -> list[dict[object, str]]:
    """*rows* in a form in which ``True`` is not ``1`` and a member is not its string."""
    return [
        {key: repr(row) for key, row in table.items()}
        for table in (rows.accounts, rows.rates, rows.holds)
    ]


async def at_once(*works: Awaitable[T]) -> list[T]:
    """Run *works* together and return their results in order; fails where they take too long."""
    results: dict[int, T] = {}

    async def run(index: int, work: Awaitable[T]) -> None:
        results[index] = await work

    with anyio.fail_after(_LONGEST_WAIT_S):
        async with anyio.create_task_group() as tasks:
            for index, work in enumerate(works):
                tasks.start_soon(run, index, work)
    return [results[index] for index in range(len(works))]


async def one_by_one(*works: Awaitable[T]) -> list[T]:
    """Run *works* after each other and return their results."""
    return [await work for work in works]


def tokens_a_day(limit: int | None, scope: str = "ann") -> BudgetRule:
    """A budget of *limit* tokens a day for *scope*."""
    return BudgetRule(scope, Unit.TOKENS, Window(Period.DAY), limit)


def streams_at_once(limit: int, scope: str = "ann") -> BudgetRule:
    """At most *limit* calls under way for *scope*."""
    return BudgetRule(scope, Unit.STREAMS, Window(Period.TOTAL), limit)


def call(
    hold_id: str,
    *rules: BudgetRule,
    tokens: int = 10,
    rates: tuple[RateRule, ...] = (),
    created_at: int = NOON,
) -> Admission:
    """The command to admit a call that may use exactly *tokens* tokens: four in, the rest out."""
    hold = Hold(
        id=hold_id,
        request_id=f"request of {hold_id}",
        principal="ann",
        profile="balanced",
        provider="scripted",
        model="parrot",
        lines=(),
        output_cap=tokens - 4,
        created_at=created_at,
        expires_at=created_at + LEASE_US,
    )
    return Admission(Reserve(hold, Demand(4, tokens - 4, tokens - 4, FREE), rules), rates)


async def admitted(store: LedgerStore, admission: Admission, now: int = NOON) -> Hold:
    """The hold of *admission*, which must not be refused."""
    decision = await store.transact(*admit_step(admission, now))
    assert isinstance(decision, Admitted), decision
    return decision.hold


def used(tokens: int, price: Price | None = FREE) -> Settlement:
    """The settlement of a call that used *tokens* tokens: four in, the rest out."""
    return Settlement(TokenUsage(4, tokens - 4), price, estimated=False, outcome="stop")


def open_hold(hold_id: str, expires_at: int) -> Hold:
    """An open hold that lies on no account."""
    return replace(call(hold_id).reserve.hold, expires_at=expires_at)


def closed(hold: Hold) -> Hold:
    """*hold* as released, without any account having changed."""
    return replace(hold, state=HoldState.RELEASED, closed_at=hold.expires_at)
