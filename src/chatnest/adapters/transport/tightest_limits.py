"""Of all limits of one unit, the one with the least left: what wires with room for one tell."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chatnest.domain.admission import RateStatus
from chatnest.domain.budget import Balance, Unit


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one limit; ``reset_after_us`` None: it never is whole again by itself."""

    limit: int
    remaining: int
    reset_after_us: int | None


def tightest(
    unit: Unit, rates: Iterable[RateStatus], balances: Iterable[Balance], now: int
) -> Left | None:
    """The limit of *unit* that a decision at *now* left the least of; None where there is none.

    Money and answers under way have no such header anywhere, and are asked for by nobody.
    """
    left = [*_of_balances(unit, balances, now)]
    if unit is Unit.REQUESTS:
        left = [*_of_rates(rates), *left]
    return min(left, key=lambda each: each.remaining, default=None)


def _of_rates(rates: Iterable[RateStatus]) -> Iterator[Left]:
    for status in rates:
        yield Left(status.rule.quota.limit, status.remaining, status.reset_after_us)


def _of_balances(unit: Unit, balances: Iterable[Balance], now: int) -> Iterator[Left]:
    for balance in balances:
        limit, remaining, resets_at = balance.rule.limit, balance.remaining, balance.resets_at
        if balance.rule.unit is unit and limit is not None and remaining is not None:
            yield Left(limit, remaining, None if resets_at is None else resets_at - now)
