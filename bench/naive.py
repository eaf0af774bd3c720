"""What the naive ledgers have in common: which accounts a call is held on, and the rate limit."""

from dataclasses import dataclass, field
from typing import Final

from bench.ledger_load import INPUT_TOKENS, LEASE_US, OUTPUT_CAP, PLENTY, PRICE, USED
from chatnest.domain.usage import cost_nano_usd

LIMIT: Final = PLENTY
# GCRA in microseconds: a billion requests a minute, all of them at once.
INTERVAL_US: Final = 60_000_000 / 10**9
BURST_US: Final = 60_000_000


CALL_COLUMNS: Final = """
    id text PRIMARY KEY, request_id text, principal text, profile text, provider text, model text,
    lines text, output_cap bigint, created_at bigint, expires_at bigint, state text,
    closed_at bigint, input_tokens bigint, output_tokens bigint, cached_input_tokens bigint,
    cache_write_tokens bigint, reasoning_tokens bigint, cost_nano_usd bigint, estimated bigint,
    outcome text
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What a call holds on one account, and what it is charged there in the end."""

    account: str
    amount: int
    charge: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call under way."""

    id: str
    caller: str
    created_at: int
    lines: tuple[Line, ...]
    left: dict[str, int] = field(default_factory=dict)

    @property
    def opening(self) -> dict[str, str | int]:
        """What is stored of it when it begins: what ChatNest stores, under the same names."""
        lines = ",".join(f"{line.account} {line.amount}" for line in self.lines)
        return {
            "id": self.id,
            "request_id": self.id,
            "principal": self.caller,
            "profile": "b",
            "provider": "p",
            "model": "m",
            "lines": lines,
            "output_cap": OUTPUT_CAP,
            "created_at": self.created_at,
            "expires_at": self.created_at + LEASE_US,
            "state": "held",
        }


def ending(now: int) -> dict[str, str | int]:
    """What is stored of a call when it ends."""
    return {
        "state": "settled",
        "closed_at": now,
        "input_tokens": USED.input_tokens,
        "output_tokens": USED.output_tokens,
        "cached_input_tokens": USED.cached_input_tokens,
        "cache_write_tokens": USED.cache_write_tokens,
        "reasoning_tokens": USED.reasoning_tokens,
        "cost_nano_usd": cost_nano_usd(PRICE, USED),
        "estimated": 0,
        "outcome": "stop",
    }


class RefusedError(Exception):
    """A limit is reached; the load is made so that none is."""


def call_of(caller: str, call_id: str, now: int) -> Call:
    """The same three accounts as ChatNest's: all tokens, the caller's tokens, its streams."""
    amount, charge = INPUT_TOKENS + OUTPUT_CAP, USED.total_tokens
    lines = (
        Line("global:tokens", amount, charge),
        Line(f"{caller}:streams", 1, 0),
        Line(f"{caller}:tokens", amount, charge),
    )
    return Call(call_id, caller, now, lines)


def remaining(call: Call, rooms: dict[str, int]) -> dict[str, int]:
    """What *call* leaves of its accounts; a client is told it."""
    left = {line.account: rooms[line.account] - line.amount for line in call.lines}
    if min(left.values()) < 0:
        raise RefusedError(call.id)
    return left


def after_one(tat_us: float | None, now: int) -> float:
    """The theoretical arrival time after one more request at *now*."""
    after = max(now, tat_us or 0) + INTERVAL_US
    if after > now + BURST_US:
        raise RefusedError("rate limited")
    return after
