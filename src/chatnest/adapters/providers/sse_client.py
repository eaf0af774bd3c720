"""Streams answers from a server that sends events, for every provider whose wire does.

Addresses, headers and errors are the SDK's
(:class:`~chatnest.adapters.providers.sdk_endpoint.SdkEndpoint`); the bytes go the leanest way
(:class:`~chatnest.adapters.providers.http_session.HttpSession`).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass

from chatnest.adapters.providers.connections import Connections
from chatnest.adapters.providers.error_words import ErrorWords
from chatnest.adapters.providers.http_exchange import HttpExchange
from chatnest.adapters.providers.http_session import HttpSession
from chatnest.adapters.providers.network_errors import broken
from chatnest.adapters.providers.sdk_endpoint import SdkEndpoint
from chatnest.adapters.providers.sdk_errors import refused
from chatnest.adapters.providers.sse import EventDecoder
from chatnest.adapters.providers.stream_decoder import StreamDecoder
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import ProviderBatch
from chatnest.domain.ports import ProviderCall, ProviderStream

EVENT_STREAM = "text/event-stream"
_EVENT_STREAM = EVENT_STREAM.encode()
# Nothing else was asked for.
_UNENCODED = (b"", b"identity")

# Answers that are over, whose connections wait for the end of the body. Beyond it they are closed.
_MOST_ENDING = 1_000
# An error's code and type are in the first few hundred.
_MOST_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wire:
    """A provider's wire: how a call is written, its answer read, and an error understood."""

    request_body: Callable[[ProviderCall], bytes]
    answer_decoder: Callable[[], StreamDecoder]
    error_words: ErrorWords


class EventStreamClient:
    """Sends calls to *endpoint* in the words of *wire*, and streams the answers."""

    def __init__(self, endpoint: SdkEndpoint, wire: Wire, connections: Connections) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._keep_alive = connections.keep_alive
        headers = {**endpoint.headers, "accept": EVENT_STREAM, "accept-encoding": "identity"}
        self._session = HttpSession(endpoint.url, headers, connections)
        self._ending: set[asyncio.Task[None]] = set()

    def stream(self, call: ProviderCall) -> ProviderStream:
        """Open one call; as the port says it."""
        return _Stream(self, call)

    async def aclose(self) -> None:
        """Close every connection; calls under way are to be left before. May be called twice."""
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._session.aclose()

    async def open(self, call: ProviderCall) -> HttpExchange:
        """The beginning of the answer to *call*; it is to be left with :meth:`leave`.

        Raises:
            ProviderError: there is none.
        """
        exchange = await self._session.post(self._wire.request_body(call), call.connect_us)
        if 200 <= exchange.status < 300:
            return exchange
        try:
            body = await _beginning(exchange)
        finally:
            exchange.close()
        error = self._endpoint.error(exchange.status, exchange.headers, body)
        raise refused(error, self._wire.error_words) from error

    def read(self, exchange: HttpExchange) -> tuple[StreamDecoder, AsyncGenerator[ProviderBatch]]:
        """What takes the body of the answer in, and the batches that it gives."""
        decoder = self._wire.answer_decoder()
        return decoder, _batches(exchange, decoder)

    def leave(self, exchange: HttpExchange, *, is_over: bool) -> None:
        """Close the connection, or keep it where the answer *is_over*. Nothing here waits."""
        if not (is_over and self._keep_alive and len(self._ending) < _MOST_ENDING):
            exchange.close()
        elif exchange.is_open:
            # The end of the body is waited for aside, so that the next call can have the
            # connection; where it came with the answer's, that was given back already.
            task = asyncio.create_task(_read_end(exchange))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


class _Stream(AbstractAsyncContextManager[AsyncIterator[ProviderBatch]]):
    """One call of *client*: a class of its own, which takes half the time of a generator's."""

    __slots__ = ("_batches", "_call", "_client", "_decoder", "_exchange")

    def __init__(self, client: EventStreamClient, call: ProviderCall) -> None:
        self._client = client
        self._call = call

    async def __aenter__(self) -> AsyncIterator[ProviderBatch]:
        self._exchange = await self._client.open(self._call)
        self._decoder, self._batches = self._client.read(self._exchange)
        return self._batches

    async def __aexit__(self, *_: object) -> None:
        # No cancellation can come between: the connection is closed before anything waits.
        self._client.leave(self._exchange, is_over=self._decoder.ended)
        await self._batches.aclose()


async def _batches(exchange: HttpExchange, decoder: StreamDecoder) -> AsyncGenerator[ProviderBatch]:
    """One batch for each read that completes an event, until the answer ends or fails."""
    if not exchange.header(b"content-type").lower().startswith(_EVENT_STREAM):
        raise ProviderError("the answer is no event stream", Failure(FailureKind.MALFORMED))
    if exchange.header(b"content-encoding").lower() not in _UNENCODED:
        raise ProviderError("the answer is compressed", Failure(FailureKind.MALFORMED))
    cause: Exception | None = None
    events = EventDecoder()
    read = exchange.read
    try:
        while chunk := await read():
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
        raise broken(cause) from cause
    elif decoder.failure is not None:
        raise decoder.failure


async def _beginning(exchange: HttpExchange) -> bytes:
    """The body of an error response, as far as it came and is of use."""
    body = b""
    with suppress(Exception):
        while len(body) < _MOST_ERROR_BYTES and (chunk := await exchange.read()):
            body += chunk
    return body[:_MOST_ERROR_BYTES]


async def _read_end(exchange: HttpExchange) -> None:
    try:
        with suppress(Exception):
            await exchange.read()
    finally:
        exchange.close()
