"""Whether an answer is longer than the cap that was held for it.

A provider is told the cap, and one that ignores it would be paid for whatever it writes. Counting
every token would cost more than relaying it, so the bytes are counted, which are never fewer than
the tokens; the tokenizer is asked only when the bytes leave it open, and then of the new text.
"""

from collections.abc import Callable

from chatnest.domain.prompt import PromptFitter


class OutputMeter:
    """Measures one answer against *cap* tokens, by the count that there certainly are."""

    __slots__ = ("_bound", "_cap", "_counted", "_fitter", "_new")

    def __init__(self, fitter: PromptFitter, cap: int) -> None:
        self._fitter = fitter
        self._cap = cap
        self._counted = 0
        self._new: list[str] = []
        self._bound = 0

    def add(self, text: str) -> bool:
        """Take more of the answer in; whether :meth:`is_over` is to be asked."""
        self._new.append(text)
        self._bound += self._fitter.byte_bound(text)
        return self._counted + self._bound > self._cap

    async def is_over(self, whole: Callable[[], str]) -> bool:
        """Whether the answer has passed the cap; *whole* gives all of it.

        Pieces can be more tokens apart than together, so that the whole is counted in the end.
        """
        self._counted += await self._fitter.count_at_least("".join(self._new))
        self._new, self._bound = [], 0
        if self._counted > self._cap:
            self._counted = await self._fitter.count_at_least(whole())
        return self._counted > self._cap
