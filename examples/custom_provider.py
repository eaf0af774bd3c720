"""A provider of your own in one file: any source of text becomes a guarded chat.

    python -m examples.custom_provider
    curl -N localhost:8000/api/chat -H 'content-type: application/json' \
        -d '{"messages":[{"role":"user","content":"to be or not to be"}]}'

A provider is an async context manager over batches of events; leaving it ends the call. It sends
deltas, then what the call used, then ``Finished``, and raises ``ProviderError`` where it fails.
It knows nothing of budgets, limits or retries.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from litestar import Litestar

from chatnest import (
    TEXT_ONLY,
    ChatNestConfig,
    ChatNestPlugin,
    Failure,
    FailureKind,
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderCall,
    ProviderError,
    TextDelta,
    TokenUsage,
    UsageReported,
)


class ReverseProvider:
    """Says the last message backwards, word by word. A word costs a token."""

    name = "reverse"
    capabilities = TEXT_ONLY

    @asynccontextmanager
    async def stream(
        self, call: ProviderCall
    ) -> AsyncGenerator[AsyncIterator[ProviderBatch], None]:
        words = call.messages[-1].content.split()
        if "error" in words:
            raise ProviderError("asked for it", Failure(FailureKind.OVERLOADED, billable=False))
        yield self._answer(words, call.max_output_tokens)

    async def _answer(self, words: list[str], cap: int) -> AsyncIterator[ProviderBatch]:
        said = list(reversed(words))[:cap]
        for word in said:
            yield [TextDelta(f"{word} ")]
        reason = FinishReason.STOP if len(said) == len(words) else FinishReason.LENGTH
        yield [UsageReported(TokenUsage(len(words), len(said))), Finished(reason)]

    async def aclose(self) -> None:
        """Nothing is held open."""


def create_app() -> Litestar:
    """An application whose chats the provider above answers."""
    return Litestar(plugins=[ChatNestPlugin(ChatNestConfig(), provider=ReverseProvider())])


if __name__ == "__main__":
    uvicorn.run(create_app(), port=8000)
