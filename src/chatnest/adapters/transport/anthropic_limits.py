"""Anthropic's own headers of what is left: ``anthropic-ratelimit-requests-remaining`` and others.

The wire knows one limit of requests and one of tokens: of several, the one with the least left is
told. Money has no header there; ``RateLimit`` tells of every limit.
"""

from collections.abc import Iterable
from typing import Final

from chatnest.adapters.transport.limit_headers import ceil_s
from chatnest.adapters.transport.tightest_limits import Left, tightest
from chatnest.adapters.transport.wire import Headers
from chatnest.domain.admission import RateStatus
from chatnest.domain.budget import Balance, Unit
from chatnest.domain.windows import US_PER_S, to_datetime

_KINDS: Final = {Unit.REQUESTS: "requests", Unit.TOKENS: "tokens"}


def anthropic_limit_headers(
    rates: Iterable[RateStatus], balances: Iterable[Balance], now: int
) -> Headers:
    """Those of the wire's two kinds that are limited, for what a decision at *now* left."""
    rates, balances = tuple(rates), tuple(balances)
    headers: list[tuple[str, str]] = []
    for unit, kind in _KINDS.items():
        left = tightest(unit, rates, balances, now)
        if left is not None:
            headers += _headers(f"anthropic-ratelimit-{kind}", left, now)
    return tuple(headers)


def _headers(name: str, left: Left, now: int) -> Headers:
    counts = ((f"{name}-limit", str(left.limit)), (f"{name}-remaining", str(left.remaining)))
    if left.reset_after_us is None:
        return counts
    # A whole second, rounded up: whoever comes then does not come too early.
    moment = to_datetime(ceil_s(now + left.reset_after_us) * US_PER_S)
    return (*counts, (f"{name}-reset", f"{moment:%Y-%m-%dT%H:%M:%SZ}"))
