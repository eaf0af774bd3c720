"""Many steps as one: what a group commit applies to the rows of all of them.

The steps run in order, each on what the ones before it left, and each with a result of its own.
One that fails changes nothing, and its neighbours are not told of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from chatnest.domain.budget import Account, AccountKey, Hold
from chatnest.domain.ledger import Change, Keys, RateKey, Rows, Step, checked
from chatnest.domain.rate_limit import RateState
from chatnest.domain.values import value

K = TypeVar("K")
R = TypeVar("R")

Transaction = tuple[Keys, Step[Any]]


@value
class Done:
    """A step's own result."""

    result: Any


@value
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
        if len(transactions) == 1:
            return _alone(*transactions[0], rows)
        work = _Work(rows)
        outcomes = tuple([work.run(keys, each) for keys, each in transactions])
        return work.change(outcomes)

    return step


def _alone(keys: Keys, step: Step[Any], rows: Rows) -> Change[tuple[Outcome, ...]]:
    """What :class:`_Work` makes of one step: nearly every commit of an idle server is that."""
    try:
        change = checked(keys, step(rows))
    except Exception as error:
        return Change((Raised(error),))
    return Change(
        (Done(change.result),),
        change.accounts,
        change.rates,
        change.holds,
        change.forgotten_accounts,
        change.forgotten_holds,
    )


class _Work:
    """Rows under change: what is stored, with what the steps so far have written over it.

    What was written comes with its key; a row that is None was forgotten.
    """

    def __init__(self, rows: Rows) -> None:
        self._accounts: dict[AccountKey, Account] = dict(rows.accounts)
        self._rates: dict[RateKey, RateState] = dict(rows.rates)
        self._holds: dict[str, Hold] = dict(rows.holds)
        self._stored = rows
        self._changed_accounts: dict[AccountKey, Account | None] = {}
        self._changed_rates: dict[RateKey, RateState] = {}
        self._changed_holds: dict[str, Hold | None] = {}

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
            accounts=_written(self._changed_accounts),
            rates=tuple(self._changed_rates.items()),
            holds=_written(self._changed_holds),
            forgotten_accounts=_gone(self._stored.accounts, self._changed_accounts),
            forgotten_holds=_gone(self._stored.holds, self._changed_holds),
        )

    def _keep(self, change: Change[Any]) -> None:
        for account in change.accounts:
            self._accounts[account.key] = self._changed_accounts[account.key] = account
        for key, state in change.rates:
            self._rates[key] = self._changed_rates[key] = state
        for hold in change.holds:
            self._holds[hold.id] = self._changed_holds[hold.id] = hold
        for forgotten in change.forgotten_accounts:
            self._accounts.pop(forgotten, None)
            self._changed_accounts[forgotten] = None
        for hold_id in change.forgotten_holds:
            self._holds.pop(hold_id, None)
            self._changed_holds[hold_id] = None


def _among(rows: dict[K, R], keys: Iterable[K]) -> dict[K, R]:
    return {key: row for key in keys if (row := rows.get(key)) is not None}


def _written(changed: dict[K, R | None]) -> tuple[R, ...]:
    return tuple([row for row in changed.values() if row is not None])


def _gone(stored: Mapping[K, Any], changed: dict[K, R | None]) -> tuple[K, ...]:
    return tuple([key for key, row in changed.items() if row is None and key in stored])
