"""A fake server for streams and whole answers: one world, one registry, and what was sent."""

import asyncio
from typing import Any

from chatnest.adapters.transport.chatnest import ChatNestEncoder
from chatnest.adapters.transport.wire import Encoder, WholeReply
from chatnest.app.streaming import EventStreamResponse, StreamRegistry, WholeResponse
from chatnest.domain.answer import Answer
from chatnest.domain.policy import ChatPolicy, TimeLimits
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import PATIENT, World

# A provider may be silent for longer than a client's connection stays open by itself.
SILENT = ChatPolicy(time_limits=TimeLimits(1_000 * US_PER_S, 1_000 * US_PER_S, 9_000 * US_PER_S))
HEARTBEAT_S = 15
STALL_S = 20
PROMPT_TOKENS = 1 + 2 + 3
HEADERS = (("x-request-id", "r1"),)


class Connection:
    """The server's side of one request: what was sent, and when the client goes or stalls."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.writing = False

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        assert not self.writing, "a server takes one message at a time"
        self.writing = True
        await self.reading.wait()
        self.writing = False
        self.messages.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    @property
    def complete(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False


class Stage:
    """One world, one registry, and responses that run as a server would run them."""

    def __init__(self, policy: ChatPolicy = PATIENT) -> None:
        self.world = World(policy=policy)
        self.registry = StreamRegistry(self.world.clock)

    async def start(
        self, reply: Encoder | WholeReply | None = None
    ) -> tuple[Connection, "asyncio.Task[None]"]:
        """Begin an answer, written by *reply*; without one it is a stream of ChatNest's own."""
        answer = await self.world.answer("x")
        connection = Connection()
        return connection, self.serve(answer, connection, reply)

    def serve(
        self,
        answer: Answer,
        connection: Connection,
        reply: Encoder | WholeReply | None = None,
        *,
        cancelled: bool = False,
    ) -> "asyncio.Task[None]":
        """Relay *answer* over *connection*, as a task of the server's."""
        response = self._response(answer, reply or ChatNestEncoder())
        scope: Any = {"type": "http"}
        receive: Any = connection.receive
        send: Any = connection.send

        async def handle() -> None:
            task = asyncio.current_task()
            if cancelled and task is not None:
                task.cancel()
            await response(scope, receive, send)

        return asyncio.create_task(handle())

    async def run_for(self, seconds: float) -> None:
        await self.world.clock.run_for(round(seconds * US_PER_S))

    def finish(self) -> None:
        """Let the last call's answer end."""
        self.world.provider.calls[-1].finish(TokenUsage(4, 1))

    def _response(
        self, answer: Answer, reply: Encoder | WholeReply
    ) -> EventStreamResponse | WholeResponse:
        clock, stall_us = self.world.clock, STALL_S * US_PER_S
        if isinstance(reply, Encoder):
            return EventStreamResponse(
                answer,
                reply,
                self.registry,
                clock,
                headers=(("content-type", "text/event-stream"),),
                heartbeat_us=HEARTBEAT_S * US_PER_S,
                write_stall_us=stall_us,
            )
        return WholeResponse(
            answer, reply, self.registry, clock, headers=HEADERS, write_stall_us=stall_us
        )
