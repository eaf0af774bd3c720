"""A provider that plays a script: for tests, demonstrations, and trying a configuration out."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import Failure, ProviderError
from chatnest.domain.events import (
    Delta,
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.messages import Role, ToolCall
from chatnest.domain.ports import Clock, ProviderCall
from chatnest.domain.usage import TokenUsage

COUNTED: Final = "counted"
CALLS_KEPT: Final = 1_000
_FOREVER_US = 10**15

# A script answers whatever it is asked. Of the wires it can name but one: what most clients speak.
EVERYTHING: Final = Capabilities(tools=True, images=True, wire="openai")


@dataclass(frozen=True, slots=True)
class Script:
    """What one call is answered with.

    *reasoning* comes first, then *text*, *refusal* and *tool_calls*. Texts are cut into pieces of
    *piece_size* characters, None: into words. *text* None repeats the last user message. Each
    batch holds *per_batch* deltas; the first comes after *first_delay_us*, every other after
    *delay_us*.

    *usage* is what is reported: ``COUNTED`` takes one token for each word of the messages and tools
    and each delta of the output; None reports nothing.

    *failure* is raised on entering the context, or after *fail_after* deltas; after *stall_after*
    deltas nothing comes any more. An answer of fewer deltas than that is not touched by it. A
    script that does not *honour_cap* goes on past the cap, one that does finishes with ``length``.
    """

    text: str | None = None
    piece_size: int | None = None
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    per_batch: int = 1
    first_delay_us: int = 0
    delay_us: int = 0
    usage: TokenUsage | Literal["counted"] | None = COUNTED
    finish_reason: FinishReason = FinishReason.STOP
    failure: Failure | None = None
    fail_after: int | None = None
    stall_after: int | None = None
    honour_cap: bool = True


class CallState(StrEnum):
    """What has become of a call."""

    OPEN = "open"
    FINISHED = "finished"
    FAILED = "failed"
    CLOSED_EARLY = "closed_early"


@dataclass(slots=True)
class ScriptedCall:
    """One call that was made: ``deltas`` counts what was given of its answer."""

    call: ProviderCall
    deltas: int = 0
    state: CallState = CallState.OPEN


Scripts = Script | Sequence[Script] | Callable[[ProviderCall], Script]

DEMONSTRATION = Script(first_delay_us=200_000, delay_us=30_000)


class ScriptedProvider:
    """Answers each call from *scripts*: one for all, one for each in turn, or what a function says.

    The last script of a sequence is played again for every further call. ``calls`` records each
    call from the moment that its context is entered, and keeps the last ``CALLS_KEPT`` of them.
    *capabilities* are what it says of itself. Time passes on *clock* alone.
    """

    def __init__(
        self,
        clock: Clock,
        scripts: Scripts = DEMONSTRATION,
        *,
        name: str = "scripted",
        capabilities: Capabilities = EVERYTHING,
    ) -> None:
        self.calls: list[ScriptedCall] = []
        self._made = 0
        self._clock = clock
        self._scripts = scripts
        self._name = name
        self._capabilities = capabilities

    @property
    def name(self) -> str:
        """The name that the configuration and the journal use."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it was made with."""
        return self._capabilities

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        """Open one call, as :class:`~chatnest.domain.ports.ChatProvider` says it."""
        script = self._script_for(call)
        record = self._record(call)
        try:
            if script.failure is not None and script.fail_after is None:
                raise _scripted_failure(script.failure, record)
            async with aclosing(self._batches(script, record)) as batches:
                yield batches
        finally:
            if record.state is CallState.OPEN:
                record.state = CallState.CLOSED_EARLY

    async def aclose(self) -> None:
        """Do nothing: a script holds nothing open."""

    def _script_for(self, call: ProviderCall) -> Script:
        if isinstance(self._scripts, Script):
            return self._scripts
        if callable(self._scripts):
            return self._scripts(call)
        return self._scripts[min(self._made, len(self._scripts) - 1)]

    def _record(self, call: ProviderCall) -> ScriptedCall:
        record = ScriptedCall(call)
        self._made += 1
        self.calls.append(record)
        del self.calls[:-CALLS_KEPT]
        return record

    async def _batches(
        self, script: Script, record: ScriptedCall
    ) -> AsyncGenerator[ProviderBatch, None]:
        deltas, finish_reason = _answer(script, record.call)
        delay_us = script.first_delay_us
        for start in range(0, len(deltas), script.per_batch):
            await self._clock.sleep(delay_us)
            delay_us = script.delay_us
            batch = deltas[start : start + script.per_batch]
            record.deltas += len(batch)
            yield batch
        if record.deltas == script.stall_after:
            await self._clock.sleep(_FOREVER_US)
        if script.failure is not None and record.deltas == script.fail_after:
            raise _scripted_failure(script.failure, record)
        record.state = CallState.FINISHED
        yield _last_batch(script, finish_reason, record)


def _answer(script: Script, call: ProviderCall) -> tuple[list[Delta], FinishReason]:
    """What the script gives before it stalls, fails or finishes, and the reason to finish."""
    text = _last_user_text(call) if script.text is None else script.text
    deltas: list[Delta] = [ReasoningDelta(piece) for piece in _pieces(script.reasoning, script)]
    deltas += [TextDelta(piece) for piece in _pieces(text, script)]
    deltas += [RefusalDelta(piece) for piece in _pieces(script.refusal, script)]
    for index, wish in enumerate(script.tool_calls):
        deltas.append(ToolCallDelta(index, wish.id, wish.name, wish.arguments))
    finish_reason = script.finish_reason
    if script.honour_cap and len(deltas) > call.max_output_tokens:
        deltas, finish_reason = deltas[: call.max_output_tokens], FinishReason.LENGTH
    ends = [end for end in (script.stall_after, script.fail_after) if end is not None]
    return deltas[: min(ends, default=len(deltas))], finish_reason


def _pieces(text: str, script: Script) -> list[str]:
    if script.piece_size is None:
        return re.findall(r"\s*\S+|\s+$", text)
    return [text[i : i + script.piece_size] for i in range(0, len(text), script.piece_size)]


def _last_user_text(call: ProviderCall) -> str:
    said = (message.content for message in reversed(call.messages) if message.role is Role.USER)
    return next(said, "")


def _last_batch(
    script: Script, finish_reason: FinishReason, record: ScriptedCall
) -> list[ProviderEvent]:
    finished = Finished(finish_reason)
    match script.usage:
        case None:
            return [finished]
        case TokenUsage() as usage:
            return [UsageReported(usage), finished]
        case _:
            read = [message.text for message in record.call.messages]
            read += [tool.text for tool in record.call.tools]
            words = sum(len(text.split()) for text in read)
            return [UsageReported(TokenUsage(words, record.deltas)), finished]


def _scripted_failure(failure: Failure, record: ScriptedCall) -> ProviderError:
    record.state = CallState.FAILED
    return ProviderError(f"scripted: {failure.kind}", failure)
