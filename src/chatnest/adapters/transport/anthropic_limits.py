"""Anthropic's own headers of what is left: ``anthropic-ratelimit-requests-remaining`` and others.

The wire knows one limit of requests and one of tokens: of several, the one with the least left is
told. Money has no header there; ``RateLimit`` tells of every limit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chatnest.adapters.transport.limit_headers import ceil_s
from chatnest.adapters.transport.wire import Headers
from chatnest.domain.admission import RateStatus
from chatnest.domain.budget import Balance, Unit
from chatnest.domain.windows import US_PER_S, to_datetime

_KINDS: Final = {Unit.REQUESTS: "requests", Unit.TOKENS: "tokens"}


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left of one limit; ``resets_at`` None: it never is whole again by itself."""

    unit: Unit
    limit: int
    remaining: int
    resets_at: int | None


def anthropic_limit_headers(
    rates: Iterable[RateStatus], balances: Iterable[Balance], now: int
) -> Headers:
    """Those of the wire's two kinds that are limited, for what a decision at *now* left."""
    left = [*_of_rates(rates, now), *_of_balances(balances)]
    headers: list[tuple[str, str]] = []
    for unit, kind in _KINDS.items():
        least = min(
            (each for each in left if each.unit is unit),
            key=lambda each: each.remaining,
            default=None,
        )
        if least is not None:
            headers += _headers(f"anthropic-ratelimit-{kind}", least)
    return tuple(headers)


def _of_rates(rates: Iterable[RateStatus], now: int) -> Iterator[_Left]:
    for status in rates:
        resets_at = now + status.reset_after_us
        yield _Left(Unit.REQUESTS, status.rule.quota.limit, status.remaining, resets_at)


def _of_balances(balances: Iterable[Balance]) -> Iterator[_Left]:
    for balance in balances:
        rule = balance.rule
        if rule.limit is not None and balance.remaining is not None:
            yield _Left(rule.unit, rule.limit, balance.remaining, balance.resets_at)


def _headers(name: str, left: _Left) -> Iterator[tuple[str, str]]:
    yield f"{name}-limit", str(left.limit)
    yield f"{name}-remaining", str(left.remaining)
    if left.resets_at is not None:
        # A whole second, rounded up: whoever comes then does not come too early.
        moment = to_datetime(ceil_s(left.resets_at) * US_PER_S)
        yield f"{name}-reset", f"{moment:%Y-%m-%dT%H:%M:%SZ}"
