"""OpenAI's ``x-ratelimit-*`` headers, beside the standard ones of every dialect."""

from collections.abc import Iterable
from typing import Final

from chatnest.adapters.transport.limit_headers import limit_headers
from chatnest.adapters.transport.tightest_limits import Left, tightest
from chatnest.adapters.transport.wire import Headers
from chatnest.domain.admission import RateStatus
from chatnest.domain.budget import Balance, Unit

_MS_PER_S: Final = 1_000
_S_PER_MINUTE: Final = 60
_S_PER_HOUR: Final = 3_600


def openai_limit_headers(
    rates: Iterable[RateStatus], balances: Iterable[Balance], now: int
) -> Headers:
    """What a decision at *now* left of the tightest limits of requests and of tokens.

    The wire has room for one of each. Its tokens are those of a minute; here they are those of
    the day, or of whatever window ends first in having none left.
    """
    rates, balances = tuple(rates), tuple(balances)
    return (
        *_named("requests", tightest(Unit.REQUESTS, rates, balances, now)),
        *_named("tokens", tightest(Unit.TOKENS, rates, balances, now)),
        *limit_headers(rates, balances, now),
    )


def wait_text(duration_us: int) -> str:
    """*duration_us*, rounded up, as OpenAI writes it: ``12ms``, ``2.5s``, ``6m0s``, ``21h4m0s``."""
    total_ms = max(0, -(-duration_us // 1_000))
    if total_ms < _MS_PER_S:
        return f"{total_ms}ms"
    if total_ms < _S_PER_MINUTE * _MS_PER_S:
        seconds, ms = divmod(total_ms, _MS_PER_S)
        return f"{seconds}.{ms:03d}".rstrip("0").rstrip(".") + "s"
    total_s = -(-total_ms // _MS_PER_S)
    hours, rest = divmod(total_s, _S_PER_HOUR)
    minutes, seconds = divmod(rest, _S_PER_MINUTE)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"


def _named(kind: str, left: Left | None) -> Headers:
    if left is None:
        return ()
    headers = (
        (f"x-ratelimit-limit-{kind}", str(left.limit)),
        (f"x-ratelimit-remaining-{kind}", str(left.remaining)),
    )
    if left.reset_after_us is None:
        return headers
    return (*headers, (f"x-ratelimit-reset-{kind}", wait_text(left.reset_after_us)))
