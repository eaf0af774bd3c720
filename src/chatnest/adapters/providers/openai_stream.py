"""The answer of OpenAI's Chat Completions wire: a stream's payloads become events.

Pure mapping, without SDK and HTTP. The wire's words (prompt, completion) end here.
"""

from collections.abc import Mapping

import msgspec

from chatnest.adapters.providers.error_words import error_inside
from chatnest.adapters.providers.openai_tool_calls import CallPiece, FunctionPiece, ToolCalls
from chatnest.adapters.providers.reported_usage import token_usage
from chatnest.adapters.providers.stream_decoder import StreamDecoder
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage


# The collector need not look at these: none is ever in a cycle, and some are made for each token.
class _Piece(msgspec.Struct, gc=False):
    """A part of a content that is a list, as Mistral's reasoning models write it."""

    text: str | None = None
    thinking: "str | list[_Piece] | None" = None


class _Delta(msgspec.Struct, gc=False):
    content: str | list[_Piece] | None = None
    refusal: str | None = None
    # DeepSeek, llama.cpp and older vLLM call it the first; OpenRouter, Groq, Ollama and newer vLLM
    # the second. OpenRouter's reasoning_details repeat it, with seals that this wire's messages
    # have no place for.
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallPiece] | None = None
    function_call: FunctionPiece | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    # Moonshot's place for it, beside the reason (pi-mono, openai-completions.ts).
    usage: object = None


class _Groq(msgspec.Struct, gc=False):
    """What Groq says beside the wire (groq 1.7, ChatCompletionChunk)."""

    usage: object = None
    error: object = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    # Understood apart: figures that make no sense must not spoil an answer.
    usage: object = None
    error: object = None
    x_groq: _Groq | None = None


_CHUNKS = msgspec.json.Decoder(_Chunk)

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


class AnswerDecoder(StreamDecoder):
    """Turns the payloads of one stream into events in their legal order.

    The wire sends the finish reason before the usage, and some servers a running usage with every
    chunk: both are held back until the stream says that it is done, or closes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._finish_reason: FinishReason | None = None
        self._usage: TokenUsage | None = None
        self._calls = ToolCalls()

    def _take(self, payload: bytes, events: list[ProviderEvent]) -> None:
        try:
            chunk = _CHUNKS.decode(payload)
        except msgspec.DecodeError as error:
            if payload.startswith(b"[DONE]"):
                events += self._end()
                return
            failure = Failure(FailureKind.MALFORMED)
            raise ProviderError("a chunk of the stream cannot be read", failure) from error
        if chunk.error:
            raise error_inside(chunk.error)
        for choice in chunk.choices or ():
            if choice.index != 0:
                continue
            if (delta := choice.delta) is not None:
                # Here and in no function of its own: it comes for each token.
                if reasoning := delta.reasoning_content or delta.reasoning:
                    events.append(ReasoningDelta(reasoning))
                if content := delta.content:
                    if isinstance(content, str):
                        events.append(TextDelta(content))
                    else:
                        events += _content_events(content)
                if delta.refusal or delta.tool_calls or delta.function_call is not None:
                    self._take_rest(delta, payload, events)
            if choice.finish_reason:
                self._take_end(choice.finish_reason, choice.usage)
        if chunk.usage:
            self._take_usage(chunk.usage)
        if chunk.x_groq is not None:
            self._take_groq(chunk.x_groq)

    def _take_rest(self, delta: _Delta, payload: bytes, events: list[ProviderEvent]) -> None:
        if delta.refusal:
            events.append(RefusalDelta(delta.refusal))
        if delta.tool_calls:
            events += self._calls.take(delta.tool_calls, payload)
        elif delta.function_call is not None:
            events += self._calls.take([CallPiece(0, None, delta.function_call)], payload)

    def _take_end(self, finish_reason: str, usage: object) -> None:
        self._finish_reason = _FINISH_REASONS.get(finish_reason, FinishReason.STOP)
        if usage:
            self._take_usage(usage)

    def _take_usage(self, usage: object) -> None:
        self._usage = token_usage(usage) or self._usage

    def _take_groq(self, groq: _Groq) -> None:
        if groq.error:
            raise error_inside(groq.error)
        if groq.usage:
            self._take_usage(groq.usage)

    def _is_complete(self) -> bool:
        return self._finish_reason is not None

    def _last_events(self) -> list[ProviderEvent]:
        reason = self._finish_reason or FinishReason.STOP
        # Gemini says "stop" beside tool calls, as OpenAI does where one tool was named.
        if reason is FinishReason.STOP and self._calls:
            reason = FinishReason.TOOL_CALLS
        finished = Finished(reason)
        return [finished] if self._usage is None else [UsageReported(self._usage), finished]


def _content_events(pieces: list[_Piece]) -> list[ProviderEvent]:
    events: list[ProviderEvent] = []
    for piece in pieces:
        if thought := _thought(piece.thinking):
            events.append(ReasoningDelta(thought))
        if piece.text:
            events.append(TextDelta(piece.text))
    return events


def _thought(thinking: str | list[_Piece] | None) -> str:
    if isinstance(thinking, list):
        return "".join([piece.text or "" for piece in thinking])
    return thinking or ""
