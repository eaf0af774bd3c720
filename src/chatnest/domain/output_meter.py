"""Whether an answer is longer than the cap that was held for it.

A provider is told the cap, and one that ignores it would be paid for whatever it writes. Counting
every token would cost more than relaying it, so the bytes are counted, which are never fewer than
the tokens; the tokenizer is asked only when the bytes leave it open, and then of the new text.
"""

from collections.abc import Callable

from chatnest.domain.prompt import PromptFitter

# What a token counter may bound a text by at the most: twice its bytes in UTF-8.
_MOST_TOKENS_A_CHARACTER = 8


class OutputMeter:
    """Measures one answer against a cap in tokens, and gives every doubt to the answer.

    So many characters more, ``ample``, cannot pass the cap: they need not be measured yet.
    """

    __slots__ = ("_bound", "_byte_bound", "_counted", "_fitter", "_most", "_new", "ample")

    def __init__(self, fitter: PromptFitter, cap: int) -> None:
        self._fitter = fitter
        self._byte_bound = fitter.byte_bound
        self._most = fitter.most_counted(cap)
        self._counted = 0
        self._new: list[str] = []
        self._bound = 0
        self.ample = self._most // _MOST_TOKENS_A_CHARACTER

    def add(self, text: str) -> bool:
        """Take more of the answer in; whether :meth:`is_over` is to be asked."""
        self._new.append(text)
        self._bound += self._byte_bound(text)
        return self._left() < 0

    async def is_over(self, whole: Callable[[], str]) -> bool:
        """Whether the answer has passed the cap; *whole* gives all of it.

        Pieces can be more tokens apart than together, so that the whole is counted in the end;
        without the spaces that it ends with, which may be the beginning of a next token.
        """
        self._counted += await self._fitter.plain_count("".join(self._new))
        self._new, self._bound = [], 0
        if self._counted > self._most:
            self._counted = await self._fitter.plain_count(whole().rstrip())
        return self._left() < 0

    def _left(self) -> int:
        """How many tokens there is room for, by what is known so far."""
        left = self._most - self._counted - self._bound
        self.ample = left // _MOST_TOKENS_A_CHARACTER
        return left
