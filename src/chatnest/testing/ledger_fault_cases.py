"""What the suite of faults works with: questions that may stay without an answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from chatnest.domain.admission import Admitted
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.ports import LedgerStore
from chatnest.domain.steps import (
    Transaction,
    admit_step,
    expire_step,
    release_step,
    retry_step,
    settle_step,
    withdraw_step,
)
from chatnest.domain.upkeep import forget_step, renew_step
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    PlainLedger,
    call,
    read_ledger,
    tokens_a_day,
    used,
)
from chatnest.testing.ledger_races import LEFT

T = TypeVar("T")

DAY = tokens_a_day(None)
LATE = NOON + LEASE_US

LONGEST_WAIT_S = 15
"""Far beyond what any store should be told to wait."""

_LONGEST_RECOVERY_S = 30


@dataclass(frozen=True)
class Unknown:
    """The store did not answer."""


UNKNOWN = Unknown()


async def outcome(asked: Awaitable[T]) -> T | Unknown:
    """What *asked* gives, or ``UNKNOWN``; fails where either takes too long."""
    with anyio.fail_after(LONGEST_WAIT_S):
        try:
            return await asked
        except StoreUnavailableError:
            return UNKNOWN


async def attempt(store: LedgerStore, transaction: Transaction[Any]) -> object:
    """The result of *transaction*, or ``UNKNOWN``."""
    return await outcome(store.transact(*transaction))


async def recovered(ask: Callable[[], Awaitable[T]]) -> T:
    """What *ask* gives as soon as the store has recovered, which must not take for ever."""
    with anyio.fail_after(_LONGEST_RECOVERY_S):
        while isinstance(answer := await outcome(ask()), Unknown):
            await checkpoint()
        return answer


async def answered(store: LedgerStore, transaction: Transaction[T]) -> T:
    """The result of *transaction*, which is sent until it is answered."""
    return await recovered(lambda: store.transact(*transaction))


async def check(direct: LedgerStore) -> None:
    """Every account is the sum of its calls."""
    ledger = await read_ledger(direct)
    assert ledger.holds
    assert ledger.drifts == ()


def reading_left() -> Transaction[int]:
    """A transaction that says what is settled on the left account, and writes nothing."""
    keys = Keys((LEFT,))
    return keys, lambda rows: Change(rows.accounts[LEFT].settled)


async def prepared(direct: LedgerStore, name: str) -> tuple[Transaction[Any], PlainLedger]:
    """The transaction of *name*, on a ledger that was made ready for it, and the same in dicts."""
    plain = PlainLedger()

    async def run(transaction: Transaction[T]) -> T:
        plain.apply(*transaction)
        return await direct.transact(*transaction)

    await run(admit_step(call("neighbour", DAY), NOON))
    admission = call("h", DAY)
    if name == "admit":
        return admit_step(admission, NOON), plain
    if name == "withdraw":
        return withdraw_step(admission.reserve.hold, "withdrawn", NOON), plain
    decision = await run(admit_step(admission, NOON))
    assert isinstance(decision, Admitted)
    hold = decision.hold
    if name == "forget":
        await run(settle_step(hold, used(7), NOON))
    transactions: dict[str, Transaction[Any]] = {
        "settle": settle_step(hold, used(7), NOON),
        "release": release_step(hold, "not_sent", NOON),
        "expire": expire_step(hold, LATE),
        "retry": retry_step(hold, used(4), call("next", DAY), NOON),
        "renew": renew_step([hold], LATE + 5),
        "forget": forget_step([hold]),
    }
    return transactions[name], plain
