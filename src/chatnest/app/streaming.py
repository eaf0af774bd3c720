"""Streams: one task for each answer, ended by whichever comes first.

A response's task belongs to the server, which cancels it as it likes. The pump that relays an
answer is therefore a plain task of its own: a cancel reaches it once, and what it awaits
afterwards, to close the provider and to settle, runs to its end.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from chatnest.adapters.transport.wire import Encoder, Headers, WholeReply, WireResponse
from chatnest.domain.answer import Answer
from chatnest.domain.errors import BusyError, PublicError
from chatnest.domain.events import Failed, Finished
from chatnest.domain.ports import Clock
from chatnest.domain.watchdog import Watchdog, wait_within

_logger = logging.getLogger("chatnest.streams")

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
    """Relays one answer to one client: writes batches, keeps silence alive, bounds a stall."""

    def __init__(
        self,
        answer: Answer,
        encoder: Encoder,
        send: Send,
        clock: Clock,
        *,
        heartbeat_us: int,
        write_stall_us: int,
    ) -> None:
        self._answer = answer
        self._encoder = encoder
        self._send = send
        self._heartbeat_us = heartbeat_us
        self._write_stall_us = write_stall_us
        self._silence = Watchdog(clock, self._on_silence)
        self._stall = Watchdog(clock, self._on_stall)
        self._task: asyncio.Task[Any] | None = None
        self._ping: asyncio.Task[None] | None = None

    async def run(self, start_response: Callable[[Send], Awaitable[None]]) -> None:
        """Relay the answer to its end; leaving this, however, has settled it."""
        self._task = asyncio.current_task()
        try:
            async with self._answer:
                self._stall.expect_within(self._write_stall_us)
                await start_response(self._send)
                self._stall.relax()
                self._silence.expect_within(self._heartbeat_us)
                async for batch in self._answer:
                    # The end goes out with the last frames, in one write.
                    more = not isinstance(batch[-1], Finished | Failed)
                    await self._write(self._encoder.encode(batch), more=more)
        finally:
            self._silence.close()
            self._stall.close()
            if self._ping is not None:
                self._ping.cancel()

    async def _write(self, data: bytes, *, more: bool) -> None:
        if self._ping is not None:
            await asyncio.wait((self._ping,))
        self._silence.relax()
        self._stall.expect_within(self._write_stall_us)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._stall.relax()
        self._silence.expect_within(self._heartbeat_us)

    def _on_silence(self) -> None:
        self._ping = asyncio.create_task(self._write_ping())
        self._ping.add_done_callback(_log_failure)

    async def _write_ping(self) -> None:
        self._stall.expect_within(self._write_stall_us)
        await self._send(
            {"type": "http.response.body", "body": self._encoder.ping, "more_body": True}
        )
        self._stall.relax()
        self._silence.expect_within(self._heartbeat_us)
        self._ping = None

    def _on_stall(self) -> None:
        """The client stopped reading: to the answer that is the same as leaving."""
        if self._task is not None:
            self._task.cancel()


class AnswerResponse(ASGIResponse):
    """Sends an answer until it ends or its client goes away; it is settled either way.

    Litestar merges no response headers of outer layers into it: *headers* are all that is sent.
    """

    _should_set_content_length = False

    def __init__(
        self, answer: Answer, registry: StreamRegistry, *, headers: Headers, media_type: str
    ) -> None:
        super().__init__(headers=headers, media_type=media_type)
        self._answer = answer
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay until the answer ends or the client leaves."""
        relaying = self._registry.start(self._answer, self._relay(send))
        watching = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((relaying, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            relaying.cancel()
            # Shielded: a server that shuts down cancels more than once.
            await asyncio.shield(self._ended(relaying))

    async def _relay(self, send: Send) -> None:
        raise NotImplementedError

    async def _ended(self, relaying: asyncio.Task[None]) -> None:
        await asyncio.wait((relaying,))
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
        super().__init__(answer, registry, headers=headers, media_type="text/event-stream")
        self._encoder = encoder
        self._clock = clock
        self._heartbeat_us = heartbeat_us
        self._write_stall_us = write_stall_us

    async def _relay(self, send: Send) -> None:
        pump = Pump(
            self._answer,
            self._encoder,
            send,
            self._clock,
            heartbeat_us=self._heartbeat_us,
            write_stall_us=self._write_stall_us,
        )
        await pump.run(self.start_response)


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
        super().__init__(answer, registry, headers=(), media_type="application/json")
        self._reply = reply
        self._clock = clock
        self._limit_headers = headers
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
        headers = (*told.headers, *self._limit_headers, length)
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]
        await send(
            {
                "type": "http.response.start",
                "status": told.status,
                "headers": encoded,
            }
        )
        await send({"type": "http.response.body", "body": told.body, "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _log_failure(task: asyncio.Task[None]) -> None:
    """Name what ended a task by surprise, and no more: a message may hold what was said."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.error("a stream was ended by %s", type(error).__name__)
