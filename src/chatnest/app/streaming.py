"""Streams: one task for each answer, ended by whichever comes first.

A response's task belongs to the server, which cancels it as it likes. The pump that relays an
answer is therefore a plain task of its own: a cancel reaches it once, and what it awaits
afterwards, to close the provider and to settle, runs to its end.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from litestar.datastructures.headers import MutableScopeHeaders
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from chatnest.adapters.transport.wire import Encoder, Headers, WholeReply, WireResponse
from chatnest.domain.answer import Answer
from chatnest.domain.errors import BusyError, PublicError
from chatnest.domain.events import Failed, Finished
from chatnest.domain.ports import Clock
from chatnest.domain.watchdog import Interruption, Watchdog, until_done, wait_within

_logger = logging.getLogger("chatnest.streams")

_ENDS = (Finished, Failed)

SHUTTING_DOWN = PublicError(
    "server_shutting_down", "The server is shutting down. Please try again.", retryable=True
)


class StreamRegistry:
    """Owns the pumps of one process, so that shutdown can end them all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[asyncio.Task[None], Answer] = {}
        self._draining = False
        self._cut = False

    @property
    def open_streams(self) -> int:
        """How many answers are being streamed."""
        return len(self._open)

    @property
    def draining(self) -> bool:
        """Whether new chats are refused because the process is to end."""
        return self._draining

    def check_open(self) -> None:
        """Pass while new chats are taken.

        Raises:
            BusyError: the process is to end.
        """
        if self._draining:
            raise BusyError("this server is shutting down; please try again")

    def start(self, answer: Answer, pump: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *pump*, which relays *answer*, as a task of its own.

        One that was admitted before a drain and begins after its cut says goodbye at once.
        """
        task = asyncio.create_task(pump)
        self._open[task] = answer
        task.add_done_callback(self._forget)
        if self._cut:
            answer.stop(SHUTTING_DOWN)
        return task

    def begin_drain(self, grace_us: int) -> None:
        """Take no new chats, and cut what still runs after *grace_us*. May be called twice."""
        if not self._draining:
            self._draining = True
            self._clock.call_later(grace_us, self.cut)

    def cut(self) -> None:
        """End every answer now, each with its dialect's own error event."""
        self._cut = True
        for answer in self._open.values():
            answer.stop(SHUTTING_DOWN)

    async def close(self, limit_us: int) -> None:
        """Cut what runs, give it *limit_us* to say goodbye and to settle, and cancel the rest."""
        self._draining = True
        self.cut()
        if self._open and not await self._ended_within(limit_us):
            for task in self._open:
                task.cancel()
            await self._ended_within(limit_us)

    async def _ended_within(self, limit_us: int) -> bool:
        everything = asyncio.gather(*self._open, return_exceptions=True)
        return await wait_within(self._clock, everything, limit_us)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        _log_failure(task)


class Pump:
    """Relays one answer to one client: writes batches, keeps silence alive, bounds a stall.

    *on_complete* is called when the client has been sent everything; the call may still be settled.
    """

    def __init__(
        self,
        answer: Answer,
        encoder: Encoder,
        send: Send,
        clock: Clock,
        *,
        on_complete: Callable[[], None],
        heartbeat_us: int,
        write_stall_us: int,
    ) -> None:
        self._answer = answer
        self._encoder = encoder
        self._send = send
        self._on_complete = on_complete
        self._heartbeat_us = heartbeat_us
        self._write_stall_us = write_stall_us
        # Moved once for each write, and looks at what is due when it fires.
        self._look_us = min(heartbeat_us, write_stall_us)
        self._watchdog = Watchdog(clock, self._look)
        self._clock = clock
        self._wrote_us = 0
        self._is_writing = False
        self._task: asyncio.Task[Any] | None = None
        self._ping: asyncio.Task[None] | None = None

    async def run(self, start_response: Callable[[Send], Awaitable[None]]) -> None:
        """Relay the answer to its end; leaving this, however, has settled it."""
        self._task = asyncio.current_task()
        encode = self._encoder.encode
        try:
            async with self._answer:
                self._begin_write()
                await start_response(self._send)
                async for batch in self._answer:
                    data = encode(batch)
                    if self._ping is not None:
                        await until_done(self._ping)
                    self._begin_write()
                    # The end goes out with the last frames, in one write.
                    more = type(batch[-1]) not in _ENDS
                    await self._send(
                        {"type": "http.response.body", "body": data, "more_body": more}
                    )
                    self._is_writing = False
                    if not more:
                        self._watchdog.close()
                        self._on_complete()
        finally:
            self._watchdog.close()
            if self._ping is not None:
                self._ping.cancel()

    def _begin_write(self) -> None:
        """A write begins, and the next silence with it."""
        self._wrote_us = now_us = self._clock.monotonic_us()
        self._is_writing = True
        self._watchdog.expect_within(self._look_us, now_us)

    def _look(self) -> None:
        """See to a silence, or to a client that stopped reading, where one is long enough."""
        limit_us = self._write_stall_us if self._is_writing else self._heartbeat_us
        left_us = self._wrote_us + limit_us - self._clock.monotonic_us()
        if left_us > 0:
            self._watchdog.expect_within(left_us)
        elif self._is_writing:
            self._on_stall()
        else:
            self._ping = asyncio.create_task(self._write_ping())
            self._ping.add_done_callback(_log_failure)

    async def _write_ping(self) -> None:
        self._begin_write()
        await self._send(
            {"type": "http.response.body", "body": self._encoder.ping, "more_body": True}
        )
        self._is_writing = False
        self._ping = None

    def _on_stall(self) -> None:
        """The client stopped reading: to the answer that is the same as leaving."""
        if self._task is not None:
            self._task.cancel()


class AnswerResponse(ASGIResponse):
    """Sends an answer until it ends or its client goes away; it is settled either way.

    Litestar merges no response headers of outer layers into it: *headers* are all that is sent.
    """

    def __init__(
        self, answer: Answer, registry: StreamRegistry, clock: Clock, headers: Headers
    ) -> None:
        super().__init__()
        self.headers = MutableScopeHeaders({"headers": _encoded(headers)})
        self._answer = answer
        self._registry = registry
        self._clock = clock
        self._is_complete = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay until the answer ends or the client leaves."""
        relaying = self._registry.start(self._answer, self._relay(send))
        listening = Interruption(self._clock)
        relaying.add_done_callback(lambda _: listening.interrupt())
        listening.begin()
        try:
            await _disconnected(receive)
        except asyncio.CancelledError:
            if listening.by_others:
                raise
        finally:
            listening.end()
            await self._end(relaying)

    def _relay(self, send: Send) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def _completed(self) -> None:
        """The client has been sent everything."""
        self._is_complete = True

    async def _end(self, relaying: asyncio.Task[None]) -> None:
        """Return when *relaying* has ended; it is cancelled where its client has not got all."""
        if self._is_complete:
            await until_done(relaying)
            return
        relaying.cancel()
        # Shielded: a server that shuts down cancels more than once.
        await asyncio.shield(self._ended(relaying))

    async def _ended(self, relaying: asyncio.Task[None]) -> None:
        await until_done(relaying)
        # A task that is cancelled before its first step never enters the answer's context.
        await self._answer.aclose()


class EventStreamResponse(AnswerResponse):
    """Sends an answer as server-sent events, as they come."""

    def __init__(
        self,
        answer: Answer,
        encoder: Encoder,
        registry: StreamRegistry,
        clock: Clock,
        *,
        headers: Headers,
        heartbeat_us: int,
        write_stall_us: int,
    ) -> None:
        super().__init__(answer, registry, clock, headers)
        self._encoder = encoder
        self._heartbeat_us = heartbeat_us
        self._write_stall_us = write_stall_us

    def _relay(self, send: Send) -> Coroutine[Any, Any, None]:
        # The pump's own coroutine: one around it would be entered again for each token.
        pump = Pump(
            self._answer,
            self._encoder,
            send,
            self._clock,
            on_complete=self._completed,
            heartbeat_us=self._heartbeat_us,
            write_stall_us=self._write_stall_us,
        )
        return pump.run(self.start_response)


class WholeResponse(AnswerResponse):
    """Sends an answer in one piece, once it has ended."""

    def __init__(
        self,
        answer: Answer,
        reply: WholeReply,
        registry: StreamRegistry,
        clock: Clock,
        *,
        headers: Headers,
        write_stall_us: int,
    ) -> None:
        super().__init__(answer, registry, clock, headers)
        self._reply = reply
        self._write_stall_us = write_stall_us

    async def _relay(self, send: Send) -> None:
        async with self._answer:
            async for batch in self._answer:
                self._reply.add(batch)
            writing = asyncio.create_task(self._write(self._reply.response(), send))
            writing.add_done_callback(_log_failure)
            try:
                # A client that does not read what was paid for is not waited for any longer.
                await wait_within(self._clock, writing, self._write_stall_us)
            finally:
                writing.cancel()

    async def _write(self, told: WireResponse, send: Send) -> None:
        length = ("content-length", str(len(told.body)))
        headers = [*_encoded((*told.headers, length)), *self.encode_headers()]
        await send({"type": "http.response.start", "status": told.status, "headers": headers})
        await send({"type": "http.response.body", "body": told.body, "more_body": False})
        self._completed()


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _log_failure(task: asyncio.Task[None]) -> None:
    """Name what ended a task by surprise, and no more: a message may hold what was said."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("a stream was ended by %s", type(error).__name__)
