"""Chance from the operating system."""

import random
import secrets

from chatnest.domain.ports import Clock

# 48 bits of milliseconds reach the year 10889.
_CHANCE_BYTES = 10


class SystemRandomness:
    """The :class:`~chatnest.domain.ports.Randomness` of a running server.

    It keeps no state of its own, so worker processes that were forked do not repeat each other.
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
        return f"chat_{made_ms:012x}{secrets.token_hex(_CHANCE_BYTES)}"

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()
