"""ChatNest's core under another transport: chat over a plain TCP connection, without Litestar.

    python -m examples.tcp_chat
    nc localhost 7000

Each line is a question, and the answer streams back on the same connection. Budgets, rate limits,
trimming, retries and settlement are the core's; this file only reads lines and writes text.
"""

import asyncio
from functools import partial

from chatnest import (
    Answer,
    ChatPolicy,
    ChatRequest,
    ChatService,
    Failed,
    Message,
    Principal,
    Refusal,
    Role,
    Route,
    Target,
    TextDelta,
)
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.prices import PUBLISHED
from chatnest.adapters.providers.scripted import ScriptedProvider
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage import MemoryStore
from chatnest.adapters.telemetry import LogObserver
from chatnest.adapters.tokenizers import BpeTokenCounter


def create_service(policy: ChatPolicy) -> ChatService:
    """The core with the adapters of your choice around it."""
    clock = SystemClock()
    return ChatService(
        store=MemoryStore(clock),
        routes=[Route("scripted", (Target(ScriptedProvider(clock), "scripted"),))],
        counter=BpeTokenCounter(),
        prices=PUBLISHED,
        clock=clock,
        randomness=SystemRandomness(SystemClock()),
        observer=LogObserver(),
        policy=policy,
    )


async def serve_connection(
    service: ChatService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection's questions; an answer ends as soon as nobody is there to read it."""
    questions: asyncio.Queue[str] = asyncio.Queue(maxsize=8)
    answering = asyncio.create_task(answer_questions(service, questions, writer))
    try:
        while line := await reader.readline():
            await questions.put(line.decode(errors="replace").strip())
    finally:
        answering.cancel()
        await asyncio.wait((answering,))
        writer.close()


async def answer_questions(
    service: ChatService, questions: asyncio.Queue[str], writer: asyncio.StreamWriter
) -> None:
    """Answer question after question, each in the light of what was said before."""
    host, *_ = writer.get_extra_info("peername")
    history: list[Message] = []
    while True:
        asked = Message(Role.USER, await questions.get())
        request = ChatRequest((*history, asked))
        outcome = await service.open(Principal(f"address:{host}"), request)
        if isinstance(outcome, Refusal):
            writer.write(f"! {outcome.code}: {outcome.limit_name}\n".encode())
        else:
            history += (asked, Message(Role.ASSISTANT, await relay(outcome, writer)))


async def relay(answer: Answer, writer: asyncio.StreamWriter) -> str:
    """Write *answer* as it comes; leaving its context settles it, also if the reader left."""
    said: list[str] = []
    async with answer:
        async for batch in answer:
            for event in batch:
                if isinstance(event, TextDelta):
                    said.append(event.text)
                    writer.write(event.text.encode())
                elif isinstance(event, Failed):
                    writer.write(f"\n! {event.error.message}".encode())
            await writer.drain()
    writer.write(b"\n")
    return "".join(said)


async def main() -> None:
    """Serve on port 7000 until interrupted."""
    service = create_service(ChatPolicy())
    server = await asyncio.start_server(partial(serve_connection, service), "127.0.0.1", 7000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
