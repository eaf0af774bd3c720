"""One client of the load generator: asks, counts the tokens that come, and may go away."""

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, cast

import httptools

from bench.jobs import LeftClient
from bench.scripts import TOKEN

if TYPE_CHECKING:
    from bench.load import Load

_KEPT: Final = len(TOKEN) - 1
_TOLD_BYTES: Final = 300


class Client(asyncio.Protocol):
    """Sends one request after the other, on one connection for as long as the server keeps it."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._request = b""
        self._tag = 0
        self._sent_ns = 0
        self._waits = False
        self._is_whole = self._is_last = False
        self._begins_when_closed = False
        self._leaves: asyncio.TimerHandle | None = None
        self._tail = self._told = b""
        self._tokens = 0
        self._reset()

    @property
    def is_reading(self) -> bool:
        """Whether an answer has begun and has not come to its end."""
        return self._waits and self._tokens > 0

    def begin(self) -> None:
        """Send the next request, and when its answer has ended the one after that."""
        handed_out = self._load.next_request()
        if handed_out is None:
            self._load.client_is_done()
            return
        self._tag, self._request = handed_out
        wait_s = self._load.due_in_s()
        if wait_s > 0:
            self._load.loop.call_later(wait_s, self._connect)
        else:
            self._connect()

    def close(self) -> None:
        """Hang up; what was under way is nobody's any more."""
        self._waits = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if not self._waits:
            return
        now, before = monotonic_ns(), self._tokens
        self._load.outcome.bytes_read += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("the response is no HTTP")
            return
        if self._tokens > before:
            self._took_tokens(self._tokens - before, now)
        if self._is_whole and self._waits:
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._waits:
            self._fail("the connection was closed before the end")
        elif self._begins_when_closed:
            self._begins_when_closed = False
            self.begin()

    def on_body(self, body: bytes) -> None:
        """A piece of the response's body has come."""
        if len(self._told) < _TOLD_BYTES and self._parser.get_status_code() != 200:
            self._told += body[:_TOLD_BYTES]
        data = self._tail + body
        self._tokens += data.count(TOKEN)
        self._tail = data[-_KEPT:]

    def on_message_complete(self) -> None:
        """The response is whole; the parser forgets afterwards what was said of the connection."""
        self._is_whole = True
        self._is_last = not self._parser.should_keep_alive()

    def _connect(self) -> None:
        if self._transport is None:
            self._opening = self._load.loop.create_task(self._open())
        else:
            self._send()

    async def _open(self) -> None:
        address = self._load.next_address()
        try:
            await self._load.loop.create_connection(
                lambda: self, "127.0.0.1", self._load.job.port, local_addr=(address, 0)
            )
        except OSError as error:
            self._fail(f"no connection: {error.strerror}")

    def _send(self) -> None:
        assert self._transport is not None
        self._reset()
        self._waits = True
        self._sent_ns = monotonic_ns()
        self._transport.write(self._request)
        self._leave_in_time()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._is_whole = self._is_last = False
        self._tail = b""
        self._told = b""
        self._tokens = 0
        self._last_ns = 0

    def _took_tokens(self, tokens: int, now: int) -> None:
        outcome = self._load.outcome
        if self._last_ns:
            outcome.gap_ns.append(now - self._last_ns)
        else:
            outcome.first_token_ns.append(now - self._sent_ns)
            self._load.begin_another()
        self._last_ns = now
        outcome.tokens += tokens
        self._leave_in_time()

    def _leave_in_time(self) -> None:
        leaving = self._load.job.leaving
        if leaving is None or self._leaves is not None or self._tokens < leaving.after_tokens:
            return
        if leaving.pause_ms:
            pause_s = leaving.pause_ms / 1e3
            self._leaves = self._load.loop.call_later(pause_s, self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        """Hang up: from here on the upstream's connection is open for nobody."""
        self._leaves = None
        if self._waits and self._transport is not None:
            left = LeftClient(self._tag, monotonic_ns(), self._tokens)
            self._transport.abort()
            self._load.outcome.left.append(left)
            self._next()

    def _end(self) -> None:
        job, outcome, status = self._load.job, self._load.outcome, self._parser.get_status_code()
        told = self._told.decode(errors="replace")
        if status != 200 and job.refused_for is not None and job.refused_for in told:
            outcome.refused += 1
        elif status != 200:
            outcome.fail(f"the answer had the status {status}: {told}")
            self._load.begin_another()
        elif self._tokens != job.script.tokens:
            outcome.fail("an answer did not have all of its tokens")
        else:
            outcome.answered += 1
        if self._transport is not None and self._is_last:
            self._transport.abort()
        self._next()

    def _fail(self, why: str) -> None:
        self._load.outcome.fail(why)
        if not self._tokens:
            self._load.begin_another()
        if self._transport is not None:
            self._transport.abort()
        self._next()

    def _next(self) -> None:
        """Go on with the next request; where the connection is closing, once it is closed."""
        self._waits = False
        if self._leaves is not None:
            self._leaves.cancel()
            self._leaves = None
        if self._transport is not None and self._transport.is_closing():
            self._begins_when_closed = True
        else:
            self.begin()
