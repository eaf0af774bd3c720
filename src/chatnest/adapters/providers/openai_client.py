"""Calls an OpenAI-compatible server through the openai SDK's own client.

The SDK knows authentication, addresses, headers, time limits and error classes. Its objects for
each chunk cost more than all the rest of a stream, so the response's bytes are decoded here.
Importing this module imports the SDK.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import httpx2
import openai

from chatnest.adapters.providers.openai_errors import provider_error, stream_error
from chatnest.adapters.providers.openai_request import request_body
from chatnest.adapters.providers.openai_stream import AnswerDecoder
from chatnest.adapters.providers.sse import EventDecoder
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import ProviderBatch
from chatnest.domain.ports import ProviderCall

EVENT_STREAM = "text/event-stream"

# aiohttp's own default; servers close idle connections after 5 to 75 seconds.
_KEEPALIVE_S = 15.0
# Answers that are over, whose connections wait for the end of the body. Beyond it they are closed.
_MOST_ENDING = 1_000


class CompletionsClient:
    """Streams chat completions. *base_url* None: what the SDK's environment says, or its default.

    The arguments are those of :class:`~chatnest.adapters.providers.openai.OpenAIProvider`.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        connect_timeout_s: float,
        read_timeout_s: float,
        max_connections: int,
        keep_alive: bool,
        trust_env: bool,
    ) -> None:
        self._api_key = api_key
        self._keep_alive = keep_alive
        self._headers = {"Accept": EVENT_STREAM, "Accept-Encoding": "identity"}
        if not keep_alive:
            # The server may close right after its answer, and a next call must not meet that.
            self._headers["Connection"] = "close"
        self._ending: set[asyncio.Task[None]] = set()
        timeout = httpx2.Timeout(read_timeout_s, connect=connect_timeout_s, pool=connect_timeout_s)
        self._sdk = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=timeout,
            # aiohttp gives everything that has arrived in one read, and speaks HTTP/1.1 alone:
            # over HTTP/2 leaving early would not reach the provider.
            http_client=openai.DefaultAioHttpClient(
                timeout=timeout,
                limits=httpx2.Limits(
                    max_connections=max_connections,
                    max_keepalive_connections=max_connections,
                    keepalive_expiry=_KEEPALIVE_S if keep_alive else 0.0,
                ),
                trust_env=trust_env,
            ),
        )

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        """Open one call; as the port says it."""
        response = await self._send(request_body(call))
        chunks = response.aiter_bytes()
        decoder = AnswerDecoder()
        batches = _batches(response, chunks, decoder)
        try:
            yield batches
        finally:
            await batches.aclose()
            if decoder.ended and self._keep_alive and len(self._ending) < _MOST_ENDING:
                self._let_end(response, chunks)
            else:
                await _close(response, chunks)

    async def aclose(self) -> None:
        """Close every connection; calls under way are to be left before. May be called twice."""
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._sdk.close()

    async def _send(self, body: bytes) -> httpx2.Response:
        if self._sdk.is_closed():
            failure = Failure(FailureKind.CONNECTION, billable=False)
            raise ProviderError("the provider was closed", failure)
        try:
            # Asked for a plain response the SDK gives it, whatever the type of a stream says.
            response: object = await self._sdk.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=body,
                options={"headers": self._headers},
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )
            return cast(httpx2.Response, response)
        except Exception as error:
            error.args = tuple(self._without_key(part) for part in error.args)
            raise provider_error(error) from error

    def _without_key(self, part: object) -> object:
        # Servers repeat the key that they refuse, and tracebacks end up in logs.
        return part.replace(self._api_key, "…") if isinstance(part, str) else part

    def _let_end(self, response: httpx2.Response, chunks: AsyncGenerator[bytes]) -> None:
        """Wait aside for the end of a body, so that the next call can have its connection."""
        task = asyncio.create_task(_read_end(response, chunks))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _batches(
    response: httpx2.Response, chunks: AsyncGenerator[bytes], decoder: AnswerDecoder
) -> AsyncGenerator[ProviderBatch]:
    """One batch for each read that completes an event, until the answer ends or fails."""
    if not response.headers.get("content-type", "").startswith(EVENT_STREAM):
        raise ProviderError("the answer is no event stream", Failure(FailureKind.MALFORMED))
    cause: Exception | None = None
    events = EventDecoder()
    try:
        async for chunk in chunks:
            if batch := decoder.decode(events.feed(chunk)):
                yield batch
            if decoder.failure is not None:
                raise decoder.failure
            if decoder.ended:
                return
    except ProviderError:
        raise
    except Exception as error:
        cause = error
    if batch := decoder.close():
        yield batch
    elif cause is not None:
        raise stream_error(cause) from cause
    elif decoder.failure is not None:
        raise decoder.failure


async def _read_end(response: httpx2.Response, chunks: AsyncGenerator[bytes]) -> None:
    try:
        with suppress(Exception):
            await anext(chunks, None)
    finally:
        await _close(response, chunks)


async def _close(response: httpx2.Response, chunks: AsyncGenerator[bytes]) -> None:
    # Nothing here waits before the connection is closed, so no cancellation can come between.
    await chunks.aclose()
    await response.aclose()
