"""Chance from the operating system."""

import os
import random
import secrets
from typing import Final

from chatnest.domain.ports import Clock

# 48 bits of milliseconds reach the year 10889.
_CHANCE_DIGITS: Final = 20
_POOL_BYTES: Final = 4_096

# Digits for ids to come: asking the system for each would be the dearest part of an id. Each is
# taken off the list by one call that no other thread can come between.
_pool: list[str] = []

# A forked process would give out the same ids as its parent.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)


class SystemRandomness:
    """The :class:`~chatnest.domain.ports.Randomness` of a running server.

    Processes that were forked do not repeat each other.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._random = random.SystemRandom()

    def new_id(self) -> str:
        """An identifier such as ``chat_019ab3…``: when it was made, in ms, and 80 random bits.

        Later ones sort behind earlier ones, so that a table's index grows at one end: at random
        places every new row would write a page of its own.
        """
        made_ms = self._clock.now() // 1_000
        return f"chat_{made_ms:012x}{_digits()}"

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()


def _digits() -> str:
    try:
        return _pool.pop()
    except IndexError:
        drawn = secrets.token_hex(_POOL_BYTES)
    ends = range(_CHANCE_DIGITS, len(drawn) + 1, _CHANCE_DIGITS)
    first, *others = [drawn[end - _CHANCE_DIGITS : end] for end in ends]
    _pool.extend(others)
    return first
