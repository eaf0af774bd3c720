"""``anthropic-ratelimit-…``: one limit of requests and one of tokens, as the wire has them."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport.anthropic_limits import anthropic_limit_headers
from chatnest.domain.budget import Unit
from chatnest.domain.windows import Period
from tests.adapters.transport.examples import NOW, SECOND_US, balance, rate

PREFIX = "anthropic-ratelimit-"


def test_without_a_limit_there_is_no_header() -> None:
    assert anthropic_limit_headers((), (), NOW) == ()
    assert anthropic_limit_headers((), (balance(limit=None),), NOW) == ()
    assert anthropic_limit_headers((), (balance(Unit.NANO_USD),), NOW) == ()
    assert anthropic_limit_headers((), (balance(Unit.STREAMS, Period.TOTAL),), NOW) == ()


def test_of_several_limits_the_one_with_the_least_left_is_told() -> None:
    headers = anthropic_limit_headers(
        (rate(29, 2 * SECOND_US),),
        (
            balance(settled=69_000),
            balance(Unit.TOKENS, Period.MONTH, limit=900_000, settled=500),
            balance(Unit.REQUESTS, Period.DAY, limit=7, settled=5, held=1),
            balance(limit=None, scope="global"),
        ),
        NOW,
    )
    assert headers == (
        (PREFIX + "requests-limit", "7"),
        (PREFIX + "requests-remaining", "1"),
        (PREFIX + "requests-reset", "2026-11-23T00:00:00Z"),
        (PREFIX + "tokens-limit", "70000"),
        (PREFIX + "tokens-remaining", "1000"),
        (PREFIX + "tokens-reset", "2026-11-23T00:00:00Z"),
    )


def test_a_limit_that_never_resets_says_no_time() -> None:
    headers = anthropic_limit_headers((), (balance(Unit.TOKENS, Period.TOTAL, limit=9),), NOW)
    assert headers == ((PREFIX + "tokens-limit", "9"), (PREFIX + "tokens-remaining", "9"))


@given(st.integers(0, 3 * SECOND_US), st.integers(0, 30))
def test_a_client_that_waits_is_never_too_early_nor_a_second_late(
    reset_after_us: int, remaining: int
) -> None:
    headers = dict(anthropic_limit_headers((rate(remaining, reset_after_us),), (), NOW))
    assert headers[PREFIX + "requests-limit"] == "30"
    assert headers[PREFIX + "requests-remaining"] == str(remaining)
    resets_at = datetime.fromisoformat(headers[PREFIX + "requests-reset"])
    waited_us = int(resets_at.timestamp()) * SECOND_US - NOW
    assert reset_after_us <= waited_us < reset_after_us + SECOND_US
