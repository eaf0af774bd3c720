"""Admission: every limit of one request judged together, in one atomic step.

Refusals have a fixed order, and the first is returned:

    not allowed · request too large · provider down · provider busy
    · duplicate · rate limited · too many streams · budget exhausted

The first four need no store. A refusal takes nothing: not from a rate limit, not from a budget.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from chatnest.domain.budget import (
    Balance,
    BudgetRule,
    Exhausted,
    Hold,
    Reserve,
    Reserved,
    Unit,
    balance,
    balances,
    hold_worst_case,
)
from chatnest.domain.ledger import Change, Keys, RateKey, Rows
from chatnest.domain.rate_limit import Limited, Quota, RateState, Taken, take
from chatnest.domain.values import value
from chatnest.domain.windows import Period


class RefusalCode(StrEnum):
    """Why a request was refused, in order of precedence."""

    NOT_ALLOWED = "not_allowed"
    REQUEST_TOO_LARGE = "request_too_large"
    PROVIDER_DOWN = "provider_down"
    PROVIDER_BUSY = "provider_busy"
    DUPLICATE = "duplicate"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_STREAMS = "too_many_streams"
    BUDGET_EXHAUSTED = "budget_exhausted"


_ORDER: Final = {code: place for place, code in enumerate(RefusalCode)}
# Looked up: each request tells them several times. Streams have one window.
_NAMES: Final = {
    (unit, period): str(unit) if unit is Unit.STREAMS else f"{unit}-{period}"
    for unit in Unit
    for period in Period
}


@value
class RateRule:
    """A quota that each request takes one from."""

    key: RateKey
    quota: Quota


@value
class RateStatus:
    """What is left of a quota after a decision."""

    rule: RateRule
    remaining: int
    reset_after_us: int


@value
class Refusal:
    """A request that was not admitted, and what its client should know.

    ``limit``, ``remaining`` and ``needed`` are in ``unit``, None where there is no such number.
    ``retry_after_us`` None: no wait is known to help. A stream must end first, or the request or
    the configuration must change. A refusal takes nothing: ``rates`` are the quotas as they stand.
    """

    code: RefusalCode
    limit_name: str
    unit: Unit | None = None
    limit: int | None = None
    remaining: int | None = None
    needed: int | None = None
    retry_after_us: int | None = None
    rates: tuple[RateStatus, ...] = ()
    balances: tuple[Balance, ...] = ()


@value
class Admitted:
    """The hold stands and the provider may be called.

    The hold of a repeated command may be closed by now, or be another request's under the same
    idempotency key (its ``request_id`` tells): then the provider must not be called.
    """

    hold: Hold
    rates: tuple[RateStatus, ...] = ()
    balances: tuple[Balance, ...] = ()


@value
class Admission:
    """The command: take one from each quota, and hold the worst case under every rule.

    Raises:
        ValueError: two quotas would be counted in one state.
    """

    reserve: Reserve
    rates: tuple[RateRule, ...] = ()

    def __post_init__(self) -> None:
        if len({rule.key for rule in self.rates}) != len(self.rates):
            raise ValueError("two quotas of one request count in the same state")

    def keys(self, now: int) -> Keys:
        """The rows that judging this needs at *now*."""
        return Keys(
            accounts=tuple([rule.account_at(now) for rule in self.reserve.rules]),
            rates=tuple([rule.key for rule in self.rates]),
            holds=(self.reserve.hold.id,),
        )


def admit(rows: Rows, command: Admission, now: int) -> Change[Admitted | Refusal]:
    """Judge every limit of *command*; all of its takes and holds happen, or none.

    A repeated command (its hold is stored already) is answered as before and takes nothing.
    """
    rules = in_precedence(command.reserve.rules)
    existing = rows.holds.get(command.reserve.hold.id)
    if existing is not None:
        return Change(Admitted(existing, (), balances(rows.accounts, rules, now)))
    statuses: list[RateStatus] = []
    states: list[tuple[RateKey, RateState]] = []
    for rule in command.rates:
        decision = take(rows.rates.get(rule.key), rule.quota, 1, now)
        match decision:
            case Limited():
                return _refuse(_rate_limited(rule, decision), rows, command.rates, rules, now)
            case Taken(state=state):
                statuses.append(_status(rule, decision))
                states.append((rule.key, state))
    wanted = command.reserve
    outcome = hold_worst_case(rows.accounts, wanted.hold, wanted.demand, rules, now)
    match outcome:
        case Exhausted():
            return _refuse(_exhausted(outcome, now), rows, command.rates, rules, now)
        case Reserved(hold=hold, accounts=accounts):
            left = [balance(*each, now) for each in zip(accounts, rules, strict=True)]
            admitted = Admitted(hold, tuple(statuses), tuple(left))
            return Change(admitted, accounts=accounts, rates=tuple(states), holds=(hold,))


def in_precedence(rules: Iterable[BudgetRule]) -> tuple[BudgetRule, ...]:
    """*rules* in the order in which their refusals are judged."""
    return tuple(sorted(rules, key=_precedence))


def _precedence(rule: BudgetRule) -> int:
    return _ORDER[refusal_code(rule)]


def refusal_code(rule: BudgetRule) -> RefusalCode:
    """What an exhausted *rule* is called: a window of an hour or less limits a rate."""
    if rule.unit is Unit.STREAMS:
        return RefusalCode.TOO_MANY_STREAMS
    if rule.window.period in (Period.MINUTE, Period.HOUR):
        return RefusalCode.RATE_LIMITED
    return RefusalCode.BUDGET_EXHAUSTED


def rule_name(rule: BudgetRule) -> str:
    """A short public name of *rule*: ``tokens-day``, ``nano_usd-month``, ``streams``.

    The scope is not in it: where several limits are told, it stands beside the name.
    """
    return _NAMES[rule.unit, rule.window.period]


def _refuse(
    refusal: Refusal,
    rows: Rows,
    quotas: Iterable[RateRule],
    rules: Iterable[BudgetRule],
    now: int,
) -> Change[Admitted | Refusal]:
    """*refusal* with every limit as it stands, because nothing was taken; nothing to write."""
    rates = [_status(rule, take(rows.rates.get(rule.key), rule.quota, 0, now)) for rule in quotas]
    known = balances(rows.accounts, rules, now)
    return Change(replace(refusal, rates=tuple(rates), balances=known))


def _status(rule: RateRule, decision: Taken | Limited) -> RateStatus:
    return RateStatus(rule, decision.remaining, decision.reset_after_us)


def _rate_limited(rule: RateRule, decision: Limited) -> Refusal:
    return Refusal(
        RefusalCode.RATE_LIMITED,
        rule.key.name,
        unit=Unit.REQUESTS,
        limit=rule.quota.limit,
        remaining=decision.remaining,
        needed=1,
        retry_after_us=decision.retry_after_us,
    )


def _exhausted(outcome: Exhausted, now: int) -> Refusal:
    rule = outcome.rule
    never = rule.limit is not None and outcome.needed > rule.limit
    return Refusal(
        refusal_code(rule),
        rule_name(rule),
        unit=rule.unit,
        limit=rule.limit,
        remaining=outcome.remaining,
        needed=outcome.needed,
        retry_after_us=None if never or outcome.resets_at is None else outcome.resets_at - now,
    )
