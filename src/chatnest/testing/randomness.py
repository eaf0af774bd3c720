"""Chance that is the same in every run."""

from collections.abc import Sequence
from itertools import count, cycle


class FixedRandomness:
    """A :class:`~chatnest.domain.ports.Randomness` whose ids count up: ``id-1``, ``id-2``, ….

    Two of them with different values of *prefix* give no id twice. *fractions* is one number for
    every call, or numbers that are given in turn, over and over.

    Raises:
        ValueError: there is no number, or one is outside [0, 1).
    """

    def __init__(self, fractions: float | Sequence[float] = 0.5, *, prefix: str = "id") -> None:
        given = fractions if isinstance(fractions, Sequence) else (fractions,)
        if not given or not all(0 <= fraction < 1 for fraction in given):
            raise ValueError("fractions must be numbers in [0, 1), at least one")
        self._ids = count(1)
        self._prefix = prefix
        self._fractions = cycle(given)

    def new_id(self) -> str:
        """The next id."""
        return f"{self._prefix}-{next(self._ids)}"

    def fraction(self) -> float:
        """The next number in [0, 1)."""
        return next(self._fractions)
