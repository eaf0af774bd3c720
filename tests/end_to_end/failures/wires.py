"""The wires that a provider can speak: each with a model, a kind of provider, and its scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.testing import anthropic_scripts, openai_scripts
from chatnest.testing.failures import AnswerWire
from chatnest.testing.upstream import Step

COUNTER = BpeTokenCounter()


class Scripts(AnswerWire, Protocol):
    """What a wire says where nothing fails."""

    def completion(
        self,
        tokens: Sequence[str] = ...,
        *,
        delay_us: int = ...,
        done: bool = ...,
        finish_reason: str | None = ...,
        usage: Mapping[str, object] | None = ...,
    ) -> tuple[Step, ...]: ...

    def usage_of(self, input_tokens: int, output_tokens: int) -> Mapping[str, object]: ...


@dataclass(frozen=True)
class Wire:
    """One wire; ``path`` is where the base URL of its clients ends."""

    kind: str
    model: str
    path: str
    scripts: Scripts

    def begun(self, *tokens: str) -> tuple[Step, ...]:
        """The beginning of an answer that has *tokens* in it so far."""
        *begun, _ = self.scripts.completion(tokens, finish_reason=None, done=False)
        return tuple(begun)

    async def prompt_tokens(self, text: str) -> int:
        """What a conversation of one message costs where nobody reports it."""
        template = COUNTER.overhead(self.model)
        return await self.tokens(text) + template.per_message + template.per_request

    async def tokens(self, text: str) -> int:
        """What an answer costs where nobody reports it."""
        return await COUNTER.count(self.model, text)

    def __str__(self) -> str:
        return self.kind


OPENAI = Wire("openai", "gpt-4o-mini", "/v1", openai_scripts)
ANTHROPIC = Wire("anthropic", "claude-haiku-4-5", "", anthropic_scripts)
WIRES = (OPENAI, ANTHROPIC)


def other(wire: Wire) -> Wire:
    """The wire that *wire* is not."""
    return ANTHROPIC if wire is OPENAI else OPENAI
