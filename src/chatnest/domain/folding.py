"""Many steps as one: what a group commit applies to the rows of all of them.

The steps run in order, each on what the ones before it left, and each with a result of its own.
One that fails changes nothing, and its neighbours are not told of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from chatnest.domain.budget import Account, AccountKey, Hold
from chatnest.domain.ledger import Change, Keys, RateKey, Rows, Step, checked
from chatnest.domain.rate_limit import RateState

K = TypeVar("K")
R = TypeVar("R")

Transaction = tuple[Keys, Step[Any]]


@dataclass(frozen=True, slots=True)
class Done:
    """A step's own result."""

    result: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """A step failed, and changed nothing."""

    error: Exception


Outcome = Done | Raised


def union(transactions: Iterable[Transaction]) -> Keys:
    """The keys of all of *transactions*, each once."""
    accounts: dict[AccountKey, None] = {}
    rates: dict[RateKey, None] = {}
    holds: dict[str, None] = {}
    for keys, _ in transactions:
        accounts.update(dict.fromkeys(keys.accounts))
        rates.update(dict.fromkeys(keys.rates))
        holds.update(dict.fromkeys(keys.holds))
    return Keys(tuple(accounts), tuple(rates), tuple(holds))


def fold(transactions: Sequence[Transaction]) -> Step[tuple[Outcome, ...]]:
    """One step that runs *transactions* in order; its result has one outcome for each."""

    def step(rows: Rows) -> Change[tuple[Outcome, ...]]:
        work = _Work(rows)
        outcomes = tuple([work.run(keys, each) for keys, each in transactions])
        return work.change(outcomes)

    return step


class _Work:
    """Rows under change: what is stored, with what the steps so far have written over it."""

    def __init__(self, rows: Rows) -> None:
        self._accounts: dict[AccountKey, Account] = dict(rows.accounts)
        self._rates: dict[RateKey, RateState] = dict(rows.rates)
        self._holds: dict[str, Hold] = dict(rows.holds)
        self._stored = rows
        self._changed_accounts: dict[AccountKey, None] = {}
        self._changed_rates: dict[RateKey, None] = {}
        self._changed_holds: dict[str, None] = {}

    def run(self, keys: Keys, step: Step[Any]) -> Outcome:
        rows = Rows(
            _among(self._accounts, keys.accounts),
            _among(self._rates, keys.rates),
            _among(self._holds, keys.holds),
        )
        try:
            change = checked(keys, step(rows))
        except Exception as error:
            return Raised(error)
        self._keep(change)
        return Done(change.result)

    def change(self, result: R) -> Change[R]:
        """Everything that the steps have changed together."""
        return Change(
            result,
            accounts=tuple(_among(self._accounts, self._changed_accounts).values()),
            rates=tuple(_among(self._rates, self._changed_rates).items()),
            holds=tuple(_among(self._holds, self._changed_holds).values()),
            forgotten_accounts=_gone(self._stored.accounts, self._accounts, self._changed_accounts),
            forgotten_holds=_gone(self._stored.holds, self._holds, self._changed_holds),
        )

    def _keep(self, change: Change[Any]) -> None:
        for account in change.accounts:
            self._accounts[account.key] = account
            self._changed_accounts[account.key] = None
        for key, state in change.rates:
            self._rates[key] = state
            self._changed_rates[key] = None
        for hold in change.holds:
            self._holds[hold.id] = hold
            self._changed_holds[hold.id] = None
        for forgotten in change.forgotten_accounts:
            self._accounts.pop(forgotten, None)
            self._changed_accounts[forgotten] = None
        for hold_id in change.forgotten_holds:
            self._holds.pop(hold_id, None)
            self._changed_holds[hold_id] = None


def _among(rows: dict[K, R], keys: Iterable[K]) -> dict[K, R]:
    return {key: row for key in keys if (row := rows.get(key)) is not None}


def _gone(stored: Iterable[K], rows: dict[K, Any], changed: Iterable[K]) -> tuple[K, ...]:
    there = set(stored)
    return tuple(key for key in changed if key not in rows and key in there)
