"""The ``RateLimit`` and ``RateLimit-Policy`` headers (draft-ietf-httpapi-ratelimit-headers-10).

One item for each limit that has a number: ``q`` its size, ``w`` its window, ``r`` what remains,
``t`` when it is whole again; windows and times in seconds.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from chatnest.adapters.transport.wire import Headers
from chatnest.domain.admission import RateStatus, rule_name
from chatnest.domain.budget import Balance
from chatnest.domain.windows import US_PER_S

# RFC 9651 (structured fields): an integer has at most 15 digits, a string printable ASCII.
_LARGEST_INTEGER = 10**15 - 1
_UNPRINTABLE = re.compile(r"[^ !#-\[\]-~]")


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    limit: int
    remaining: int
    window_us: int | None
    reset_after_us: int | None

    @property
    def policy(self) -> str:
        return self._named("q", self.limit, "w", self.window_us)

    @property
    def state(self) -> str:
        return self._named("r", self.remaining, "t", self.reset_after_us)

    def _named(self, key: str, count: int, time_key: str, time_us: int | None) -> str:
        time = "" if time_us is None else f";{time_key}={ceil_s(time_us)}"
        name = _UNPRINTABLE.sub("_", self.name)
        return f'"{name}";{key}={min(count, _LARGEST_INTEGER)}{time}'


def limit_headers(rates: Iterable[RateStatus], balances: Iterable[Balance], now: int) -> Headers:
    """Both headers for what a decision at *now* left; none where nothing is limited."""
    items = [_rate_item(status) for status in rates]
    for balance in _binding(balances):
        item = _balance_item(balance, now)
        if item is not None:
            items.append(item)
    if not items:
        return ()
    return (
        ("ratelimit-policy", ", ".join([item.policy for item in items])),
        ("ratelimit", ", ".join([item.state for item in items])),
    )


def ceil_s(duration_us: int) -> int:
    """Whole seconds, rounded up: whoever waits so long does not come too early."""
    return max(0, -(-duration_us // US_PER_S))


def _binding(balances: Iterable[Balance]) -> tuple[Balance, ...]:
    """Of the balances that share a public name, the one with the least left.

    The scope is no part of the name, so a caller's own budget and one that it shares can have
    the same: what counts for the caller is which of them ends first.
    """
    least: dict[str, Balance] = {}
    for balance in balances:
        name = rule_name(balance.rule)
        known = least.get(name)
        if known is None or _left(balance) < _left(known):
            least[name] = balance
    return tuple(least.values())


def _left(balance: Balance) -> float:
    return math.inf if balance.remaining is None else balance.remaining


def _rate_item(status: RateStatus) -> _Item:
    quota = status.rule.quota
    return _Item(
        status.rule.key.name,
        quota.limit,
        status.remaining,
        quota.period_us,
        status.reset_after_us,
    )


def _balance_item(balance: Balance, now: int) -> _Item | None:
    limit, remaining, resets_at = balance.rule.limit, balance.remaining, balance.resets_at
    if limit is None or remaining is None:
        return None
    name = rule_name(balance.rule)
    if resets_at is None:
        return _Item(name, limit, remaining, None, None)
    # A month, or a day on which clocks change, has no length of its own: measure this one.
    span = balance.rule.window.span_at(resets_at - 1)
    return _Item(name, limit, remaining, resets_at - span.start, resets_at - now)
