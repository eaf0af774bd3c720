"""Chance from the operating system."""

import random
import secrets

_ID_BYTES = 16


class SystemRandomness:
    """The :class:`~chatnest.domain.ports.Randomness` of a running server.

    It keeps no state of its own, so worker processes that were forked do not repeat each other.
    """

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def new_id(self) -> str:
        """An identifier of 128 random bits, such as ``chat_3f2a…``: letters, digits and ``_``."""
        return f"chat_{secrets.token_hex(_ID_BYTES)}"

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()
