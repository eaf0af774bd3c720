"""How a hold ends: settled at what was used, released, or expired at its worst case.

The other half of :mod:`chatnest.domain.budget`, whose table of transitions holds here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from chatnest.domain.budget import Account, Accounts, Hold, HoldLine, HoldState, Unit
from chatnest.domain.usage import NO_USAGE, Price, TokenUsage, cost_nano_usd
from chatnest.domain.values import value


@value
class Closed:
    """A hold after a command that closes it; ``accounts`` is empty where nothing changed.

    ``overrun`` is True where more was charged than was held, on any account.
    """

    hold: Hold
    accounts: tuple[Account, ...]
    overrun: bool = False


@value
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
    usage, cost = settlement.usage, cost_of(settlement)
    charges = [charge(line, usage, cost) for line in hold.lines]
    # Every field by its place: dataclasses.replace would take twice as long, for each call.
    closed = Hold(
        hold.id,
        hold.request_id,
        hold.principal,
        hold.profile,
        hold.provider,
        hold.model,
        _charged(hold, charges),
        hold.output_cap,
        hold.created_at,
        hold.expires_at,
        HoldState.SETTLED,
        now,
        usage,
        cost,
        settlement.estimated,
        settlement.outcome,
    )
    return _close(accounts, hold, closed, charges)


def release(accounts: Accounts, hold: Hold, outcome: str, now: int) -> Closed:
    """Give the whole hold back: for a call that a provider provably did no work for."""
    if hold.state is not HoldState.HELD:
        return Closed(hold, ())
    charges = [0] * len(hold.lines)
    closed = replace(
        hold,
        lines=_charged(hold, charges),
        state=HoldState.RELEASED,
        closed_at=now,
        usage=NO_USAGE,
        cost_nano_usd=0,
        outcome=outcome,
    )
    return _close(accounts, hold, closed, charges)


def expire(accounts: Accounts, hold: Hold, now: int) -> Closed:
    """Charge the worst case of a hold whose owner is gone; one that is not due stays as it is."""
    if hold.state is not HoldState.HELD or now < hold.expires_at:
        return Closed(hold, ())
    charges = [0 if line.account.unit is Unit.STREAMS else line.amount for line in hold.lines]
    closed = replace(
        hold,
        lines=_charged(hold, charges),
        state=HoldState.EXPIRED,
        closed_at=now,
        estimated=True,
        outcome="lost",
    )
    return _close(accounts, hold, closed, charges)


def cost_of(settlement: Settlement) -> int | None:
    """What the call costs, in nano-dollars; None where its price is unknown."""
    return None if settlement.price is None else cost_nano_usd(settlement.price, settlement.usage)


def charge(line: HoldLine, usage: TokenUsage, cost: int | None) -> int:
    """What *usage*, which costs *cost* if that is known, is charged on the account of *line*."""
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


def _charged(hold: Hold, charges: Sequence[int]) -> tuple[HoldLine, ...]:
    charged = zip(hold.lines, charges, strict=True)
    return tuple([HoldLine(line.account, line.amount, charge) for line, charge in charged])


def _close(accounts: Accounts, hold: Hold, closed: Hold, charges: Sequence[int]) -> Closed:
    charged = tuple(zip(hold.lines, charges, strict=True))
    changed = [_move(accounts[line.account], line, charge) for line, charge in charged]
    overrun = any(charge > line.amount for line, charge in charged)
    return Closed(closed, tuple(changed), overrun)


def _move(account: Account, line: HoldLine, charge: int) -> Account:
    """Take what *line* had put on the account away, and put the new *charge* there."""
    held, settled = account.held, account.settled + charge
    if line.charged is None:
        held -= line.amount
    else:
        settled -= line.charged
    return Account(account.key, account.limit, settled, held, account.carried)
