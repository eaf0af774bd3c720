"""The atomic steps of a call's life: what each one needs from the ledger, and what it writes.

Every function returns the two arguments of ``LedgerStore.transact``::

    closed = await store.transact(*settle_step(hold, settlement, now))

The stored hold always wins over the one that the caller remembers, so each step may be sent again
after a lost reply and changes nothing the second time.

A store may come back without its last writes (a failover), and then a hold that was admitted is
missing. Its provider call has happened all the same: *settle* puts the lost hold back before it
charges it, so that nothing is under-counted, and *release* writes it down as released. The price
is on the safe side: a hold that a store has forgotten as history is charged again if it is settled
once more.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from chatnest.domain.admission import Admission, Admitted, Refusal, admit
from chatnest.domain.budget import (
    Account,
    Accounts,
    Balance,
    BudgetRule,
    Hold,
    HoldLine,
    HoldState,
    balances,
)
from chatnest.domain.closing import Closed, Settlement, expire, release, settle
from chatnest.domain.ledger import Change, Keys, Rows, Step
from chatnest.domain.values import value

T = TypeVar("T")
K = TypeVar("K")
Transaction = tuple[Keys, Step[T]]


@value
class Release:
    """The ending of an attempt that a provider provably did no work for."""

    outcome: str


Ending = Settlement | Release


@value
class Retried:
    """A failed attempt after it was closed, and whether the next one is admitted."""

    closed: Closed
    decision: Admitted | Refusal


def admit_step(admission: Admission, now: int) -> Transaction[Admitted | Refusal]:
    """Judge every limit of *admission*; all of its takes and holds happen, or none.

    A command that is sent again is answered with its stored hold, whatever has become of that.
    """
    return admission.keys(now), lambda rows: admit(rows, admission, now)


def settle_step(hold: Hold, settlement: Settlement, now: int) -> Transaction[Closed]:
    """Charge what *hold*'s call used; a hold that the ledger has lost is charged as well."""
    return _keys(hold), lambda rows: _closing(rows, hold, settlement, now)


def release_step(hold: Hold, outcome: str, now: int) -> Transaction[Closed]:
    """Give *hold* back whole: for a call that a provider provably did no work for."""
    return _keys(hold), lambda rows: _closing(rows, hold, Release(outcome), now)


def expire_step(hold: Hold, now: int) -> Transaction[Closed]:
    """Charge *hold* at its worst case if it is still open and due.

    One that is no longer in the ledger was closed and forgotten: nothing changes.
    """

    def step(rows: Rows) -> Change[Closed]:
        stored = rows.holds.get(hold.id)
        if stored is None:
            return Change(Closed(hold, ()))
        return _written(stored, expire(accounts_with(rows, stored), stored, now))

    return _keys(hold), step


def withdraw_step(hold: Hold, outcome: str, now: int) -> Transaction[Hold | None]:
    """Find out what became of an admission whose answer was lost, and end it if it never came.

    *hold* is the one that was sent, without lines. Returns the stored hold: one that is ``held``
    is to be given back with :func:`release_step`; None where it is another request's, of the same
    idempotency key. Where nothing is stored a released hold is written, so that the lost command
    finds it and holds nothing should it arrive yet.
    """

    def step(rows: Rows) -> Change[Hold | None]:
        stored = rows.holds.get(hold.id)
        if stored is not None:
            return Change(stored if stored.request_id == hold.request_id else None)
        withdrawn = release({}, hold, outcome, now).hold
        return Change(withdrawn, holds=(withdrawn,))

    return Keys(holds=(hold.id,)), step


def retry_step(
    failed: Hold, ending: Ending, admission: Admission, now: int
) -> Transaction[Retried]:
    """Close a failed attempt and reserve the next one, in one step.

    The next attempt is judged on what the failed one leaves free. It takes nothing from the rate
    limits, which count requests and not attempts. Where it is refused, *failed* is closed anyway.
    """
    again = replace(admission, rates=())

    def step(rows: Rows) -> Change[Retried]:
        closing = _closing(rows, failed, ending, now)
        opening = admit(_after(rows, closing), again, now)
        accounts = {account.key: account for account in (*closing.accounts, *opening.accounts)}
        return Change(
            Retried(closing.result, opening.result),
            accounts=tuple(accounts.values()),
            holds=(*closing.holds, *opening.holds),
        )

    return _union(_keys(failed), again.keys(now)), step


def balances_step(rules: Iterable[BudgetRule], now: int) -> Transaction[tuple[Balance, ...]]:
    """Read what each of *rules* leaves at *now*; nothing is written."""
    asked = tuple(rules)
    keys = Keys(accounts=_once(rule.account_at(now) for rule in asked))
    return keys, lambda rows: Change(balances(rows.accounts, asked, now))


def accounts_with(rows: Rows, hold: Hold) -> Accounts:
    """The accounts of *hold* with the hold's part on them, put back where the ledger lost it."""
    lost = hold.id not in rows.holds
    accounts = dict(rows.accounts)
    for line in hold.lines:
        if lost or line.account not in rows.accounts:
            account = accounts.get(line.account, Account(line.account, limit=None))
            accounts[line.account] = _put_back(account, line, hold.state)
    return accounts


def _closing(rows: Rows, hold: Hold, ending: Ending, now: int) -> Change[Closed]:
    before = rows.holds.get(hold.id, hold)
    accounts = accounts_with(rows, before)
    match ending:
        case Settlement():
            return _written(before, settle(accounts, before, ending, now))
        case Release(outcome=outcome):
            return _written(before, release(accounts, before, outcome, now))


def _written(before: Hold, closed: Closed) -> Change[Closed]:
    if closed.hold is before:
        return Change(closed)
    return Change(closed, accounts=closed.accounts, holds=(closed.hold,))


def _put_back(account: Account, line: HoldLine, state: HoldState) -> Account:
    if state is HoldState.HELD:
        return replace(account, held=account.held + line.amount)
    return replace(account, settled=account.settled + (line.charged or 0))


def _after(rows: Rows, change: Change[Closed]) -> Rows:
    return Rows(
        {**rows.accounts, **{account.key: account for account in change.accounts}},
        rows.rates,
        {**rows.holds, **{hold.id: hold for hold in change.holds}},
    )


def _keys(hold: Hold) -> Keys:
    return Keys(accounts=_once(hold.account_keys), holds=(hold.id,))


def _union(one: Keys, other: Keys) -> Keys:
    return Keys(
        accounts=_once((*one.accounts, *other.accounts)),
        rates=_once((*one.rates, *other.rates)),
        holds=_once((*one.holds, *other.holds)),
    )


def _once(keys: Iterable[K]) -> tuple[K, ...]:
    return tuple(dict.fromkeys(keys))
