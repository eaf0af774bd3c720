"""A provider to package: any server that streams lines of JSON, such as Ollama's own wire.

    [providers.ollama]
    factory = "examples.ndjson_provider:create"     # or registered: docs/write_a_provider.md
    base_url = "http://localhost:11434"

    [routes.chat]
    targets = ["ollama/qwen3:8b"]

Each call is one POST to ``/api/chat``. Its answer is lines of JSON, the last of them with the
usage. Leaving the call closes its connection, and that makes the server stop.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp

from chatnest import (
    TEXT_ONLY,
    ConfigurationError,
    Failure,
    FailureKind,
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderCall,
    ProviderError,
    ProviderEvent,
    ProviderPorts,
    ProviderSettings,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    UsageReported,
    failure_from_response,
)

MOST_LINE_BYTES = 1024 * 1024
# What is raised before there is a connection to send anything on.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class NdjsonProvider:
    """Streams answers from the server at ``base_url``; its sockets are opened by the first call."""

    # Requests with tools, pictures or further fields are refused before they get here.
    capabilities = TEXT_ONLY

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._address = (settings.base_url or "http://localhost:11434").rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @asynccontextmanager
    async def stream(
        self, call: ProviderCall
    ) -> AsyncGenerator[AsyncIterator[ProviderBatch], None]:
        """Open one call; the response is closed wherever it is left."""
        response = await self._send(call)
        try:
            async with aclosing(batches_of(response)) as batches:
                yield batches
        finally:
            response.close()

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _send(self, call: ProviderCall) -> aiohttp.ClientResponse:
        connect_s = self._settings.connect_timeout_s
        if call.connect_us is not None:
            connect_s = call.connect_us / 1_000_000
        timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_s, sock_read=self._settings.read_timeout_s
        )
        try:
            response = await self._open_session().post(
                f"{self._address}/api/chat", json=request_body(call), timeout=timeout
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise connection_error(error) from error
        if response.status != 200:
            response.close()
            raise refusal(response)
        return response

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            failure = Failure(FailureKind.CONNECTION, billable=False)
            raise ProviderError("the provider was closed", failure)
        if self._session is None:
            key = self._settings.api_key
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._settings.max_connections),
                headers={"authorization": f"Bearer {key}"} if key else {},
            )
        return self._session


def request_body(call: ProviderCall) -> dict[str, Any]:
    """What the server is asked; ``num_predict`` is the cap that is paid for."""
    options = {
        "num_predict": call.max_output_tokens,
        "temperature": call.temperature,
        "top_p": call.top_p,
        "stop": list(call.stop) or None,
    }
    return {
        "model": call.model,
        "messages": [{"role": str(one.role), "content": one.content} for one in call.messages],
        "options": {name: value for name, value in options.items() if value is not None},
        "stream": True,
    }


async def batches_of(response: aiohttp.ClientResponse) -> AsyncGenerator[ProviderBatch, None]:
    """One batch for each read that completes a line, until the line that says it is the last."""
    rest = b""
    try:
        while read := await response.content.readany():
            *lines, rest = (rest + read).split(b"\n")
            batch, failure = decoded(lines)
            if batch:
                yield batch
            if failure is not None:
                raise failure
            if batch and isinstance(batch[-1], Finished):
                return
            if len(rest) > MOST_LINE_BYTES:
                raise ProviderError("a line is too long", Failure(FailureKind.MALFORMED))
    except (aiohttp.ClientError, TimeoutError) as error:
        is_late = isinstance(error, TimeoutError)
        kind = FailureKind.TIMEOUT if is_late else FailureKind.INTERRUPTED
        raise ProviderError("the stream broke", Failure(kind)) from error
    raise ProviderError("the stream ended early", Failure(FailureKind.INTERRUPTED))


def decoded(lines: list[bytes]) -> tuple[list[ProviderEvent], ProviderError | None]:
    """The events of *lines* up to the last one, or to the failure among them."""
    events: list[ProviderEvent] = []
    for line in filter(None, lines):
        try:
            events += events_of(line)
        except ProviderError as failure:
            return events, failure
        if events and isinstance(events[-1], Finished):
            break
    return events, None


def events_of(line: bytes) -> list[ProviderEvent]:
    """What one line says, in the order that events have."""
    said = parsed(line)
    if "error" in said:
        # Its text may repeat the prompt, and messages end up in logs.
        raise ProviderError("the server reported an error", Failure(FailureKind.SERVER_ERROR))
    message = said.get("message") or {}
    events: list[ProviderEvent] = []
    if thought := message.get("thinking"):
        events.append(ReasoningDelta(thought))
    if text := message.get("content"):
        events.append(TextDelta(text))
    if said.get("done"):
        events += last_events(said)
    return events


def last_events(said: dict[str, Any]) -> list[ProviderEvent]:
    """What is known at the end. Usage that is not reported is counted by ChatNest."""
    is_cut = said.get("done_reason") == "length"
    finished = Finished(FinishReason.LENGTH if is_cut else FinishReason.STOP)
    match said:
        case {"prompt_eval_count": int(given), "eval_count": int(made)}:
            return [UsageReported(TokenUsage(given, made)), finished]
        case _:
            return [finished]


def parsed(line: bytes) -> dict[str, Any]:
    """The object that a line is."""
    try:
        said = json.loads(line)
    except ValueError as error:
        failure = Failure(FailureKind.MALFORMED)
        raise ProviderError("a line is not JSON", failure) from error
    if not isinstance(said, dict):
        raise ProviderError("a line is no object", Failure(FailureKind.MALFORMED))
    return said


def refusal(response: aiohttp.ClientResponse) -> ProviderError:
    """What an error response means: its status says all that this wire has."""
    wait = response.headers.get("retry-after", "")
    wait_s = float(wait) if wait.isdecimal() else None
    failure = failure_from_response(response.status, retry_after_s=wait_s)
    return ProviderError(f"answered with status {response.status}", failure)


def connection_error(error: Exception) -> ProviderError:
    """What went wrong before there was a response; billed is only what may have been sent."""
    is_late = isinstance(error, TimeoutError)
    kind = FailureKind.TIMEOUT if is_late else FailureKind.CONNECTION
    failure = Failure(kind, billable=not isinstance(error, NEVER_SENT))
    return ProviderError(f"{kind}: no answer came", failure)


def create(settings: ProviderSettings, ports: ProviderPorts) -> NdjsonProvider:
    """The factory: what the entry point names. It starts nothing."""
    if settings.options:
        known = ", ".join(settings.options)
        raise ConfigurationError(f"there are no options here; remove {known}")
    return NdjsonProvider(settings)
