"""How a hold ends: settled at what was used, released, or expired at its worst case.

The other half of :mod:`chatnest.domain.budget`, whose table of transitions holds here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from chatnest.domain.budget import Account, Accounts, Hold, HoldLine, HoldState, Unit
from chatnest.domain.usage import NO_USAGE, Price, TokenUsage, cost_nano_usd


@dataclass(frozen=True, slots=True)
class Closed:
    """A hold after a command that closes it; ``accounts`` is empty where nothing changed.

    ``overrun`` is True where more was charged than was held, on any account.
    """

    hold: Hold
    accounts: tuple[Account, ...]
    overrun: bool = False


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call turned out to have used; ``estimated`` where the provider did not say.

    ``price`` None: the cost is not known, and an account in nano-dollars is charged its hold.
    """

    usage: TokenUsage
    price: Price | None
    estimated: bool
    outcome: str


def settle(accounts: Accounts, hold: Hold, settlement: Settlement, now: int) -> Closed:
    """Charge what was used, and give the rest of the hold back.

    Corrects an expired hold. A hold that is settled or released already stays as it is.
    """
    if hold.state not in (HoldState.HELD, HoldState.EXPIRED):
        return Closed(hold, ())
    cost = None if settlement.price is None else cost_nano_usd(settlement.price, settlement.usage)
    charges = [_charge(line, settlement.usage, cost) for line in hold.lines]
    closed = replace(
        hold,
        state=HoldState.SETTLED,
        closed_at=now,
        usage=settlement.usage,
        cost_nano_usd=cost,
        estimated=settlement.estimated,
        outcome=settlement.outcome,
    )
    return _close(accounts, hold, closed, charges)


def release(accounts: Accounts, hold: Hold, outcome: str, now: int) -> Closed:
    """Give the whole hold back: for a call that a provider provably did no work for."""
    if hold.state is not HoldState.HELD:
        return Closed(hold, ())
    closed = replace(
        hold,
        state=HoldState.RELEASED,
        closed_at=now,
        usage=NO_USAGE,
        cost_nano_usd=0,
        outcome=outcome,
    )
    return _close(accounts, hold, closed, [0] * len(hold.lines))


def expire(accounts: Accounts, hold: Hold, now: int) -> Closed:
    """Charge the worst case of a hold whose owner is gone; one that is not due stays as it is."""
    if hold.state is not HoldState.HELD or now < hold.expires_at:
        return Closed(hold, ())
    closed = replace(hold, state=HoldState.EXPIRED, closed_at=now, estimated=True, outcome="lost")
    charges = [0 if line.account.unit is Unit.STREAMS else line.amount for line in hold.lines]
    return _close(accounts, hold, closed, charges)


def _charge(line: HoldLine, usage: TokenUsage, cost: int | None) -> int:
    unit = line.account.unit
    match unit:
        case Unit.TOKENS:
            return usage.total_tokens
        case Unit.NANO_USD:
            return line.amount if cost is None else cost
        case Unit.REQUESTS:
            return 1
        case Unit.STREAMS:
            return 0
        case _:
            assert_never(unit)


def _close(accounts: Accounts, hold: Hold, closed: Hold, charges: Sequence[int]) -> Closed:
    charged = tuple(zip(hold.lines, charges, strict=True))
    lines = tuple(replace(line, charged=charge) for line, charge in charged)
    changed = tuple(_move(accounts[line.account], line, charge) for line, charge in charged)
    overrun = any(charge > line.amount for line, charge in charged)
    return Closed(replace(closed, lines=lines), changed, overrun)


def _move(account: Account, line: HoldLine, charge: int) -> Account:
    """Take what *line* had put on the account away, and put the new *charge* there."""
    if line.charged is None:
        return replace(account, held=account.held - line.amount, settled=account.settled + charge)
    return replace(account, settled=account.settled - line.charged + charge)
