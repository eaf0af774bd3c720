"""The prompt that a call will be sent: composed, trimmed to its limits, and its tokens bounded.

The cheap byte bound comes first; texts are counted by the tokenizer only where the bound says
that something might not fit, and never more of them than could be kept: what a client can make
this server count is bounded by what it may send on.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from chatnest.domain.calibration import SLOWEST, UNCALIBRATED, corrected, learn, raised
from chatnest.domain.messages import Message
from chatnest.domain.ports import TokenCounter, TokenOverhead
from chatnest.domain.profiles import Profile
from chatnest.domain.tools import Tool
from chatnest.domain.trimming import PromptTooLarge, Trimmed, keeps_all, trim
from chatnest.domain.usage import TokenUsage
from chatnest.domain.values import value

# To learn from a call, its texts are counted, which nothing else needs.
_LEARN_FROM_EVERY = 32


@value
class Asked:
    """What is to be fitted: a conversation, and what a model is told beside it.

    ``beside`` is the text of further fields that a model may read, as the schema of its answer.
    """

    messages: Sequence[Message]
    tools: tuple[Tool, ...] = ()
    beside: str = ""

    @property
    def fixed_texts(self) -> tuple[str, ...]:
        """All that is always sent, whatever is trimmed."""
        texts = tuple([tool.text for tool in self.tools])
        return (*texts, self.beside) if self.beside else texts


@value
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
    """Fits conversations into what a profile and a model allow.

    It learns from what the model's provider reports how far its own counts are from the truth.
    """

    def __init__(
        self,
        counter: TokenCounter,
        model: str,
        context_window: int | None,
        *,
        user_first: bool = False,
    ) -> None:
        self._counter = counter
        self._model = model
        self._window = sys.maxsize if context_window is None else context_window
        self._user_first = user_first
        self._input = UNCALIBRATED
        self._output = UNCALIBRATED
        self._calls = 0

    async def fit(self, asked: Asked, profile: Profile) -> Prompt | PromptTooLarge:
        """Trim *asked* to *profile* and the context window, counting only where it matters."""
        newest = self._newest(asked, profile)
        if isinstance(newest, PromptTooLarge):
            return newest
        fixed, bounds = self._fixed_bound(newest), self._bounds(newest.messages)
        bounded = self._fitted(newest, bounds, fixed, profile, counted=False)
        if isinstance(bounded, Prompt) and _lost_nothing(bounded, newest, profile):
            return bounded
        return await self._fit_counted(newest, profile)

    async def fit_counted(self, asked: Asked, profile: Profile) -> Prompt | PromptTooLarge:
        """The same, by the tokenizer's count of every message that could be kept."""
        newest = self._newest(asked, profile)
        if isinstance(newest, PromptTooLarge):
            return newest
        return await self._fit_counted(newest, profile)

    async def count(self, asked: Asked) -> int:
        """The tokens of a prompt that was sent, by the tokenizer and by what it has learnt."""
        return corrected(self._input, await self._counted(asked))

    async def count_text(self, text: str) -> int:
        """The tokens of an output, by the tokenizer and by what it has learnt."""
        if not text:
            return 0
        return corrected(self._output, await self._counter.count(self._model, text))

    def byte_bound(self, text: str) -> int:
        """An upper bound of the tokens in *text*; cheap, counts nothing."""
        return self._counter.bound(self._model, text)

    async def plain_count(self, text: str) -> int:
        """The tokens of an output, by the tokenizer alone."""
        return await self._counter.count(self._model, text)

    def most_counted(self, tokens: int) -> int:
        """The most that the tokenizer could make of *tokens* tokens, as far as it is known."""
        return tokens * (100 + self._counter.overestimate_percent(self._model)) // 100

    async def learn(self, asked: Asked, output: str, usage: TokenUsage) -> None:
        """Compare what was counted with *usage*, as the provider reports it.

        Not of what is not in the texts: pictures, tools in a form of the provider's own, and
        thoughts that were not shown.
        """
        if not asked.fixed_texts and not any(message.images for message in asked.messages):
            counted = await self._counted(asked)
            self._input = learn(self._input, counted, usage.input_tokens)
        if output and usage.reasoning_tokens == 0:
            counted = await self._counter.count(self._model, output)
            self._output = learn(self._output, counted, usage.output_tokens)

    def wants_to_learn(self) -> bool:
        """Whether the call that is ending is one to learn from: the first ones, then some."""
        self._calls += 1
        return self._calls <= SLOWEST or self._calls % _LEARN_FROM_EVERY == 0

    async def _fit_counted(self, newest: Asked, profile: Profile) -> Prompt | PromptTooLarge:
        room = min(profile.tokens_per_request, self._window)
        fixed = await self._fixed_count(newest, room)
        counts = [await self._count(message, room) for message in newest.messages]
        weights = [raised(self._input, count) for count in counts]
        return self._fitted(newest, weights, raised(self._input, fixed), profile, counted=True)

    async def _counted(self, asked: Asked) -> int:
        weights = [await self._count(message) for message in asked.messages]
        return sum(weights) + await self._fixed_count(asked)

    def _newest(self, asked: Asked, profile: Profile) -> Asked | PromptTooLarge:
        """What the message limit alone would keep of *asked*: no other limit keeps more."""
        messages = asked.messages
        if keeps_all(messages, profile.max_messages, user_first=self._user_first):
            return asked
        kept = self._trim(messages, [0] * len(messages), profile, token_limit=0)
        if isinstance(kept, PromptTooLarge):
            return kept
        is_whole = len(kept.messages) == len(messages)
        return asked if is_whole else replace(asked, messages=kept.messages)

    def _fitted(
        self,
        asked: Asked,
        weights: Sequence[int],
        fixed: int,
        profile: Profile,
        *,
        counted: bool,
    ) -> Prompt | PromptTooLarge:
        """Trim with the full output cap; a last turn that needs more may eat into the cap.

        *fixed* is what the request has beside its messages, and is always sent.
        """
        room = min(profile.tokens_per_request, self._window) - fixed
        kept = self._trim(asked.messages, weights, profile, room - profile.max_output_tokens)
        if isinstance(kept, PromptTooLarge):
            kept = self._trim(asked.messages, weights, profile, room - profile.min_output_tokens)
        if isinstance(kept, PromptTooLarge):
            return kept
        cap = min(profile.max_output_tokens, room - kept.tokens)
        return Prompt(kept.messages, kept.tokens + fixed, cap, counted)

    def _trim(
        self,
        messages: Sequence[Message],
        weights: Sequence[int],
        profile: Profile,
        token_limit: int,
    ) -> Trimmed | PromptTooLarge:
        return trim(
            messages,
            weights,
            max_messages=profile.max_messages,
            token_limit=token_limit,
            user_first=self._user_first,
        )

    def _bounds(self, messages: Sequence[Message]) -> list[int]:
        overhead = self._counter.overhead(self._model)
        bound, model = self._counter.bound, self._model
        return [bound(model, message.text) + _template(message, overhead) for message in messages]

    async def _count(self, message: Message, most: int | None = None) -> int:
        """The tokens of *message*; where they are more than *most*, any number above it."""
        template = _template(message, self._counter.overhead(self._model))
        return await self._counter.count(self._model, message.text, most=most) + template

    def _fixed_bound(self, asked: Asked) -> int:
        bounds = [self._counter.bound(self._model, text) for text in asked.fixed_texts]
        return sum(bounds) + _fixed(asked.tools, self._counter.overhead(self._model))

    async def _fixed_count(self, asked: Asked, most: int | None = None) -> int:
        count, model = self._counter.count, self._model
        counts = [await count(model, text, most=most) for text in asked.fixed_texts]
        return sum(counts) + _fixed(asked.tools, self._counter.overhead(self._model))


def _lost_nothing(prompt: Prompt, asked: Asked, profile: Profile) -> bool:
    """Whether a finer count could neither keep more of *asked* nor leave a larger cap."""
    full_cap = prompt.output_cap == profile.max_output_tokens
    return full_cap and len(prompt.messages) == len(asked.messages)


def _fixed(tools: Sequence[Tool], overhead: TokenOverhead) -> int:
    if not tools:
        return overhead.per_request
    return overhead.per_request + overhead.with_tools + len(tools) * overhead.per_tool


def _template(message: Message, overhead: TokenOverhead) -> int:
    """What *message* is beside its texts: its frame and its pictures."""
    if not message.parts:
        return overhead.per_message
    images = message.images
    low = sum(image.detail == "low" for image in images)
    pictures = low * overhead.per_low_image + (len(images) - low) * overhead.per_image
    return overhead.per_message + pictures
