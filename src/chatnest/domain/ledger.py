"""The rows that a ledger store keeps, and the atomic steps that change them.

A step is a pure function from the rows at some keys to a :class:`Change`. A store loads the rows,
applies the step and writes what comes back, all or nothing; it knows nothing of budgets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from chatnest.domain.budget import Account, AccountKey, Hold
from chatnest.domain.rate_limit import RateState

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class RateKey:
    """One named quota of one scope."""

    scope: str
    name: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The rows that a step may read and write."""

    accounts: tuple[AccountKey, ...] = ()
    rates: tuple[RateKey, ...] = ()
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """The stored rows among the keys of a step; a key without a row is missing."""

    accounts: Mapping[AccountKey, Account]
    rates: Mapping[RateKey, RateState]
    holds: Mapping[str, Hold]


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a step decided, and the rows to write: only rows whose keys the step named."""

    result: T
    accounts: tuple[Account, ...] = ()
    rates: tuple[tuple[RateKey, RateState], ...] = ()
    holds: tuple[Hold, ...] = ()


Step = Callable[[Rows], Change[T]]


def checked(keys: Keys, change: Change[T]) -> Change[T]:
    """*change* as it is, if it writes rows at *keys* only: every store asks before it writes.

    Raises:
        ValueError: a row is written that the step did not name, so that it was never loaded.
    """
    strays = (
        {account.key for account in change.accounts}.difference(keys.accounts),
        {key for key, _ in change.rates}.difference(keys.rates),
        {hold.id for hold in change.holds}.difference(keys.holds),
    )
    if any(strays):
        raise ValueError("a step may only write rows whose keys it named")
    return change
