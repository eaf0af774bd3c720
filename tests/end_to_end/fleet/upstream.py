"""The provider of a fleet, and what it really produced for each chat.

It speaks OpenAI's wire on a real socket and shares no code with what keeps the accounts: what it
has counted is what a provider may bill.
"""

import asyncio
from collections import defaultdict
from types import TracebackType
from typing import Self

from chatnest.testing.openai_scripts import completion, usage_of
from chatnest.testing.upstream import Exchange, MockUpstream, Script, Wait

PROMPT_TOKENS = 12
"""What it says that every prompt had; below what any admission holds for one."""

# A gate is met after the response's head, the role and as many tokens.
_STEPS_BEFORE_GATE = 5


class CountedUpstream:
    """Answers each chat with *tokens* tokens, one every *delay_us*.

    The answer to a chat in ``gates`` stops after its first tokens until that event is set.
    """

    def __init__(self, tokens: int, delay_us: int = 0) -> None:
        self.tokens = tokens
        self.delay_us = delay_us
        self.prompt_tokens = PROMPT_TOKENS
        self.gates: dict[int, asyncio.Event] = {}
        self.calls: defaultdict[int, list[Exchange]] = defaultdict(list)
        self._server = MockUpstream(self._answer)

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    @property
    def base_url(self) -> str:
        """What the fleet's servers are told."""
        return self._server.base_url

    @property
    def call_count(self) -> int:
        """How many calls came at all."""
        return sum(len(calls) for calls in self.calls.values())

    def billable(self, chat: int) -> int:
        """The tokens that chat number *chat* may be billed: the prompts, and what was written."""
        return sum(self.prompt_tokens + call.tokens_written for call in self.calls[chat])

    def _answer(self, exchange: Exchange) -> Script:
        chat = chat_number(exchange.json["messages"][-1]["content"])
        self.calls[chat].append(exchange)
        steps = completion(
            ["word "] * self.tokens,
            first_delay_us=self.delay_us,
            delay_us=self.delay_us,
            usage=usage_of(self.prompt_tokens, self.tokens),
        )
        gate = self.gates.get(chat)
        if gate is None:
            return steps
        return (*steps[:_STEPS_BEFORE_GATE], Wait(gate), *steps[_STEPS_BEFORE_GATE:])


def prompt_of(chat: int) -> str:
    """What chat number *chat* asks: all prompts are of one length, and each is another."""
    return f"This is chat number {chat:06}."


def chat_number(prompt: str) -> int:
    """The number of the chat that asks *prompt*."""
    return int(prompt.removesuffix(".")[-6:])
