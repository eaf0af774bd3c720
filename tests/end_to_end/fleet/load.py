"""Many chats at once, each from an address of its own, and how each of them ended."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.end_to_end.fleet.upstream import prompt_of
from tests.support.client import Exchange
from tests.support.waiting import until

_MOST_CHATS = 1 << 24
# Far from the numbers that tests choose; a prompt has room for six digits.
_TRIED = range(500_000, 1_000_000)


@dataclass(slots=True)
class Outcome:
    """How one chat ended for its client.

    ``status`` 0: the server was gone before it answered. ``last_event`` is None where there was
    no stream, or where it broke off before its end; ``code`` is a refusal's or an error's.
    """

    chat: int
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    tokens: int = 0
    last_event: str | None = None
    is_whole: bool = False

    @property
    def ended(self) -> str:
        """In one word: its last event, its refusal, or ``lost``."""
        if self.is_whole:
            return self.last_event or "empty"
        return self.code or "lost"


async def ask(port: int, chat: int, *, first: asyncio.Event | None = None) -> Outcome:
    """Send chat number *chat* to the server at *port* and read the answer to its end.

    *first* is set when the first token has come.
    """
    outcome = Outcome(chat)
    try:
        async with await _open(port, chat) as exchange:
            outcome.status = await exchange.head()
            outcome.headers = exchange.headers
            if outcome.status == 200:
                await _read_events(exchange, outcome, first)
            else:
                outcome.code = (await exchange.json())["code"]
    # No status line at all is an IndexError: nobody but the server's end can be the cause.
    except (OSError, EOFError, IndexError):
        pass
    return outcome


async def ask_all(ports: Iterable[int], chats: range) -> list[Outcome]:
    """Send *chats* all at once, spread over *ports*."""
    servers = list(ports)
    return await asyncio.gather(*(ask(servers[chat % len(servers)], chat) for chat in chats))


async def begin(port: int, chat: int) -> asyncio.Task[Outcome]:
    """Send chat number *chat*, and go on reading it once its first token has come."""
    first = asyncio.Event()
    asked = asyncio.create_task(ask(port, chat, first=first))
    waiting = asyncio.create_task(first.wait())
    await asyncio.wait((asked, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    assert first.is_set(), f"there was no answer: {await asked}"
    return asked


async def until_taken(port: int) -> None:
    """Send chats to the server at *port*, one after the other, until it answers one."""
    chats = iter(_TRIED)

    async def is_taken() -> bool:
        return (await ask(port, next(chats))).ended == "done"

    await until(is_taken)


def endings(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How many of *outcomes* ended in each way."""
    return Counter(outcome.ended for outcome in outcomes)


def principal_of(chat: int) -> str:
    """Whose chat number *chat* is: everyone has one chat alone, and so an account of its own."""
    return f"address:{_address(chat)}"


def _address(chat: int) -> str:
    assert 0 <= chat < _MOST_CHATS
    return f"10.{chat >> 16 & 255}.{chat >> 8 & 255}.{chat & 255}"


async def _open(port: int, chat: int) -> Exchange:
    message = {"id": "1", "role": "user", "content": prompt_of(chat)}
    body = json.dumps({"messages": [message]}).encode()
    headers = {"x-forwarded-for": _address(chat)}
    return await Exchange.open(port, "/api/chat", body=body, headers=headers)


async def _read_events(exchange: Exchange, outcome: Outcome, first: asyncio.Event | None) -> None:
    async for event in exchange.events():
        outcome.tokens += event.name == "token"
        outcome.last_event = event.name
        if event.name == "error":
            outcome.code = event.json["code"]
        if first is not None and outcome.tokens:
            first.set()
    outcome.is_whole = True
