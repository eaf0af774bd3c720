"""The answer of OpenAI's Chat Completions wire: a stream's payloads become events.

Pure mapping, without SDK and HTTP. The wire's words (prompt, completion) end here.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.retry import classify
from chatnest.domain.usage import TokenUsage

# A count beyond this is nonsense, and its cost would not fit into a store's integers.
MOST_TOKENS = 10**12


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    # Read apart: figures that make no sense must not spoil an answer.
    usage: msgspec.Raw = msgspec.Raw()
    error: object = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _Usage(msgspec.Struct):
    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


_CHUNKS = msgspec.json.Decoder(_Chunk)
_USAGES = msgspec.json.Decoder(_Usage | None)

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


class AnswerDecoder:
    """Turns the payloads of one stream into events in their legal order.

    The wire sends the finish reason before the usage, and some servers a running usage with every
    chunk: both are held back until the stream says that it is done, or closes. ``ended`` is True
    after ``Finished``; ``failure`` is what to raise once the events before it were given.
    """

    def __init__(self) -> None:
        self.ended = False
        self.failure: ProviderError | None = None
        self._finish_reason: FinishReason | None = None
        self._usage: TokenUsage | None = None

    def decode(self, payloads: Iterable[bytes]) -> list[ProviderEvent]:
        """The events of one read; often none. What follows the end is ignored."""
        events: list[ProviderEvent] = []
        try:
            for payload in payloads:
                if self.ended:
                    break
                self._take(payload, events)
        except ProviderError as failure:
            self.failure = failure
        return events

    def close(self) -> list[ProviderEvent]:
        """The last events of a stream whose connection is gone.

        An answer that gave its finish reason is complete, whether or not its end was announced;
        any other was interrupted, which ``failure`` says.
        """
        if self.ended:
            return []
        if self._finish_reason is None:
            failure = Failure(FailureKind.INTERRUPTED)
            self.failure = ProviderError("the stream closed before its end", failure)
            return []
        return self._last_events()

    def _take(self, payload: bytes, events: list[ProviderEvent]) -> None:
        if payload[:6] == b"[DONE]":
            events += self._last_events()
            return
        try:
            chunk = _CHUNKS.decode(payload)
        except msgspec.DecodeError as error:
            failure = Failure(FailureKind.MALFORMED)
            raise ProviderError("a chunk of the stream cannot be read", failure) from error
        if chunk.error:
            raise _error_inside(chunk.error)
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._take_choice(choice, events)
        if chunk.usage:
            self._usage = _token_usage(chunk.usage) or self._usage

    def _take_choice(self, choice: _Choice, events: list[ProviderEvent]) -> None:
        delta = choice.delta
        if delta is not None:
            if reasoning := delta.reasoning_content or delta.reasoning:
                events.append(ReasoningDelta(reasoning))
            if text := delta.content or delta.refusal:
                events.append(TextDelta(text))
            if delta.tool_calls:
                events += _tool_call_deltas(delta.tool_calls)
        if choice.finish_reason:
            self._finish_reason = _FINISH_REASONS.get(choice.finish_reason, FinishReason.STOP)

    def _last_events(self) -> list[ProviderEvent]:
        self.ended = True
        finished = Finished(self._finish_reason or FinishReason.STOP)
        return [finished] if self._usage is None else [UsageReported(self._usage), finished]


def error_words(error: object) -> tuple[str | None, str | None]:
    """The words in an error object, the more specific first; sentences are left out.

    That is its code and its type, but llama.cpp and OpenRouter send a status as the code.
    """
    if not isinstance(error, Mapping):
        return None, None
    code, error_type = _word(error.get("code")), _word(error.get("type"))
    if code is None or code.isdecimal():
        return error_type, code
    return code, error_type


def _word(value: object) -> str | None:
    # These go into messages and the journal, where nothing of a prompt may end up.
    word = str(value)
    return word if value is not None and re.fullmatch(r"[\w.:-]{1,64}", word, re.A) else None


def _error_inside(error: object) -> ProviderError:
    code, error_type = error_words(error)
    kind = classify(None, code, error_type)
    failure = Failure(kind, code=code or error_type)
    return ProviderError(f"the stream carried an error: {failure.code or kind}", failure)


def _tool_call_deltas(calls: list[_ToolCall]) -> list[ProviderEvent]:
    deltas: list[ProviderEvent] = []
    for position, call in enumerate(calls):
        function = call.function or _Function()
        identifier, name, arguments = call.id or None, function.name or None, function.arguments
        if identifier or name or arguments:
            index = position if call.index is None else call.index
            deltas.append(ToolCallDelta(index, identifier, name, arguments or ""))
    return deltas


def _token_usage(raw: msgspec.Raw) -> TokenUsage | None:
    """The reported usage; None where it is null, or one of its counts makes no sense.

    A part that is larger than its whole is cut down to it. A total that is larger than the sum
    is believed: xAI and Gemini count reasoning in the total but not in completion_tokens.
    """
    try:
        usage = _USAGES.decode(raw)
    except msgspec.DecodeError:
        return None
    if usage is None:
        return None
    input_tokens = usage.prompt_tokens
    output_tokens = max(usage.completion_tokens, (usage.total_tokens or 0) - input_tokens)
    inputs = usage.prompt_tokens_details or _InputDetails()
    outputs = usage.completion_tokens_details or _OutputDetails()
    cached = _part(inputs.cached_tokens, input_tokens)
    return TokenUsage(
        input_tokens,
        output_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=_part(inputs.cache_write_tokens, input_tokens - cached),
        reasoning_tokens=_part(outputs.reasoning_tokens, output_tokens),
    )


def _part(count: int | None, whole: int) -> int:
    return min(max(0, count or 0), whole)
