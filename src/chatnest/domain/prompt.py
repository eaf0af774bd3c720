"""The prompt that a call will be sent: composed, trimmed to its limits, and its tokens bounded.

The cheap byte bound comes first; texts are counted by the tokenizer only where the bound says
that something might not fit, and never more of them than could be kept: what a client can make
this server count is bounded by what it may send on.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from chatnest.domain.messages import Message
from chatnest.domain.ports import TokenCounter
from chatnest.domain.profiles import Profile
from chatnest.domain.trimming import PromptTooLarge, Trimmed, trim


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a provider will be sent.

    ``input_tokens`` is an upper bound of it: by tokenizer where ``counted``, else by its bytes.
    ``output_cap`` is what the request's own limits leave for the answer.
    """

    messages: tuple[Message, ...]
    input_tokens: int
    output_cap: int
    counted: bool


class PromptFitter:
    """Fits conversations into what a profile and a model allow."""

    def __init__(self, counter: TokenCounter, model: str, context_window: int | None) -> None:
        self._counter = counter
        self._model = model
        self._window = sys.maxsize if context_window is None else context_window

    async def fit(self, messages: Sequence[Message], profile: Profile) -> Prompt | PromptTooLarge:
        """Trim *messages* to *profile* and the context window, counting only where it matters."""
        bounded = self._fitted(messages, self._bounds(messages), profile, counted=False)
        if isinstance(bounded, Prompt) and self._lost_nothing(bounded, messages, profile):
            return bounded
        return await self.fit_counted(messages, profile)

    async def fit_counted(
        self, messages: Sequence[Message], profile: Profile
    ) -> Prompt | PromptTooLarge:
        """The same, by the tokenizer's count of every message that could be kept."""
        newest = self._newest(messages, profile)
        candidates = messages if newest is None else newest
        room = self._room(profile)
        weights = [await self._count(message, room) for message in candidates]
        return self._fitted(candidates, weights, profile, counted=True)

    async def count(self, messages: Sequence[Message]) -> int:
        """The tokens of a prompt that was sent, by the tokenizer."""
        weights = [await self._count(message) for message in messages]
        return sum(weights) + self._counter.overhead(self._model).per_request

    async def count_text(self, text: str) -> int:
        """The tokens of an output, by the tokenizer."""
        return await self._counter.count(self._model, text) if text else 0

    def _lost_nothing(self, prompt: Prompt, messages: Sequence[Message], profile: Profile) -> bool:
        """Whether a finer count could neither keep more messages nor leave a larger cap."""
        full_cap = prompt.output_cap == profile.max_output_tokens
        return full_cap and prompt.messages == self._newest(messages, profile)

    def _newest(self, messages: Sequence[Message], profile: Profile) -> tuple[Message, ...] | None:
        """What the message limit alone would keep; None where it cannot be met."""
        weightless = [0] * len(messages)
        kept = _trim(messages, weightless, profile, token_limit=0)
        return kept.messages if isinstance(kept, Trimmed) else None

    def _fitted(
        self,
        messages: Sequence[Message],
        weights: Sequence[int],
        profile: Profile,
        *,
        counted: bool,
    ) -> Prompt | PromptTooLarge:
        """Trim with the full output cap; a last turn that needs more may eat into the cap."""
        room = self._room(profile)
        kept = _trim(messages, weights, profile, room - profile.max_output_tokens)
        if isinstance(kept, PromptTooLarge):
            kept = _trim(messages, weights, profile, room - profile.min_output_tokens)
        if isinstance(kept, PromptTooLarge):
            return kept
        cap = min(profile.max_output_tokens, room - kept.tokens)
        overhead = self._counter.overhead(self._model).per_request
        return Prompt(kept.messages, kept.tokens + overhead, cap, counted)

    def _room(self, profile: Profile) -> int:
        """The tokens that messages and answer may have together."""
        overhead = self._counter.overhead(self._model).per_request
        return min(profile.tokens_per_request, self._window) - overhead

    def _bounds(self, messages: Sequence[Message]) -> list[int]:
        per_message = self._counter.overhead(self._model).per_message
        bound, model = self._counter.bound, self._model
        return [bound(model, message.text) + per_message for message in messages]

    async def _count(self, message: Message, most: int | None = None) -> int:
        """The tokens of *message*; where they are more than *most*, any number above it."""
        per_message = self._counter.overhead(self._model).per_message
        return await self._counter.count(self._model, message.text, most=most) + per_message


def _trim(
    messages: Sequence[Message], weights: Sequence[int], profile: Profile, token_limit: int
) -> Trimmed | PromptTooLarge:
    return trim(messages, weights, max_messages=profile.max_messages, token_limit=token_limit)
