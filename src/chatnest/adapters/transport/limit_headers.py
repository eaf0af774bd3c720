"""The ``RateLimit`` and ``RateLimit-Policy`` headers (draft-ietf-httpapi-ratelimit-headers-10).

One item for each limit that has a number: ``q`` its size, ``w`` its window, ``r`` what remains,
``t`` when it is whole again; windows and times in seconds.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from chatnest.adapters.transport.wire import Headers
from chatnest.domain.admission import RateStatus, rule_name
from chatnest.domain.budget import Balance
from chatnest.domain.windows import US_PER_S

# RFC 9651 (structured fields): an integer has at most 15 digits, a string printable ASCII.
_LARGEST_INTEGER = 10**15 - 1
_UNPRINTABLE = re.compile(r"[^ !#-\[\]-~]")

# Of limits there are few, but a client may wish for any number: what is remembered has an end.
_REMEMBERED = 1_024


def limit_headers(rates: Iterable[RateStatus], balances: Iterable[Balance], now: int) -> Headers:
    """Both headers for what a decision at *now* left; none where nothing is limited."""
    policies: list[str] = []
    states: list[str] = []
    for status in rates:
        quota = status.rule.quota
        policies.append(_policy(status.rule.key.name, quota.limit, quota.period_us))
        states.append(_state(status.rule.key.name, status.remaining, status.reset_after_us))
    for name, (remaining, limit, balance) in _binding(balances).items():
        resets_at = balance.resets_at
        policies.append(_policy(name, limit, _window_us(balance)))
        states.append(_state(name, remaining, None if resets_at is None else resets_at - now))
    if not policies:
        return ()
    return (("ratelimit-policy", ", ".join(policies)), ("ratelimit", ", ".join(states)))


def ceil_s(duration_us: int) -> int:
    """Whole seconds, rounded up: whoever waits so long does not come too early."""
    return max(0, -(-duration_us // US_PER_S))


def _binding(balances: Iterable[Balance]) -> dict[str, tuple[int, int, Balance]]:
    """By each public name the least that is left under it, with its limit and its balance.

    The scope is no part of the name, so a caller's own budget and one that it shares can have
    the same: what counts for the caller is which of them ends first.
    """
    least: dict[str, tuple[int, int, Balance]] = {}
    for balance in balances:
        remaining, limit = balance.remaining, balance.rule.limit
        if remaining is None or limit is None:
            continue
        name = rule_name(balance.rule)
        known = least.get(name)
        if known is None or remaining < known[0]:
            least[name] = remaining, limit, balance
    return least


def _window_us(balance: Balance) -> int | None:
    if balance.resets_at is None:
        return None
    # A month, or a day on which clocks change, has no length of its own: measure this one.
    return balance.resets_at - balance.rule.window.span_at(balance.resets_at - 1).start


@lru_cache(maxsize=_REMEMBERED)
def _policy(name: str, limit: int, window_us: int | None) -> str:
    window = "" if window_us is None else f";w={ceil_s(window_us)}"
    return f"{_quoted(name)};q={min(limit, _LARGEST_INTEGER)}{window}"


def _state(name: str, remaining: int, reset_after_us: int | None) -> str:
    reset = "" if reset_after_us is None else f";t={ceil_s(reset_after_us)}"
    return f"{_quoted(name)};r={min(remaining, _LARGEST_INTEGER)}{reset}"


@lru_cache(maxsize=_REMEMBERED)
def _quoted(name: str) -> str:
    return f'"{_UNPRINTABLE.sub("_", name)}"'
