"""The rows that a ledger store keeps, and the atomic steps that change them.

A step is a pure function from the rows at some keys to a :class:`Change`. A store loads the rows,
applies the step and writes what comes back, all or nothing; it knows nothing of budgets.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chatnest.domain.budget import Account, AccountKey, Hold
from chatnest.domain.rate_limit import RateState
from chatnest.domain.values import value

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class RateKey:
    """One named quota of one scope."""

    scope: str
    name: str


@value
class Keys:
    """The rows that a step may read and write."""

    accounts: tuple[AccountKey, ...] = ()
    rates: tuple[RateKey, ...] = ()
    holds: tuple[str, ...] = ()


@value
class Rows:
    """The stored rows among the keys of a step; a key without a row is missing."""

    accounts: Mapping[AccountKey, Account]
    rates: Mapping[RateKey, RateState]
    holds: Mapping[str, Hold]


@value
class Change(Generic[T]):
    """What a step decided, the rows to write, and the rows to forget.

    Only rows whose keys the step named, and each of them once.
    """

    result: T
    accounts: tuple[Account, ...] = ()
    rates: tuple[tuple[RateKey, RateState], ...] = ()
    holds: tuple[Hold, ...] = ()
    forgotten_accounts: tuple[AccountKey, ...] = ()
    forgotten_holds: tuple[str, ...] = ()


Step = Callable[[Rows], Change[T]]


def checked(keys: Keys, change: Change[T]) -> Change[T]:
    """*change* as it is, if it changes rows at *keys* only: every store asks before it writes.

    Raises:
        ValueError: a row is changed that the step did not name, so that it was never loaded; or
            one is changed twice.
    """
    accounts = [account.key for account in change.accounts]
    _check(keys.accounts, [*accounts, *change.forgotten_accounts])
    _check(keys.rates, [key for key, _ in change.rates])
    _check(keys.holds, [*[hold.id for hold in change.holds], *change.forgotten_holds])
    return change


def _check(named: Collection[object], changed: Collection[object]) -> None:
    if not changed:
        return
    once = set(changed)
    if not once.issubset(named):
        raise ValueError("a step may only change rows whose keys it named")
    if len(once) < len(changed):
        raise ValueError("a step may change a row only once")


@value
class LedgerPage:
    """A part of a ledger, for those who read all of it."""

    accounts: Sequence[Account] = ()
    holds: Sequence[Hold] = ()
