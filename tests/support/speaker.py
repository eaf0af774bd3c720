"""A client of any dialect: how it asks, and what it hears."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tests.support.client import Event, Exchange

Body = dict[str, Any]


class Call(NamedTuple):
    """A tool call; the arguments are JSON text."""

    id: str
    name: str
    arguments: str


class ToolUse(NamedTuple):
    """A call of the model's, and what came of it."""

    call: Call
    result: str


class Talk(NamedTuple):
    """A conversation: questions of the user's, and between them answers or uses of the tool."""

    system: str | None
    turns: tuple[str | ToolUse, ...]
    has_tool: bool = False


TOOL_NAME: Final = "get_weather"
TOOL_TEXT: Final = "How the weather is."
TOOL_SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}}}

HELLO: Final = Talk(None, ("Hello!",))


@dataclass
class Told:
    """What a client learned: texts and calls joined, tokens and cost where the wire has them."""

    text: str = ""
    calls: dict[object, Call] = field(default_factory=dict)
    tokens: tuple[int, int] | None = None
    cost_usd: str | None = None
    ended: bool = False

    def call(self, key: object, *, id: str | None = None, name: str = "", more: str = "") -> None:
        """The call *key* begins, or goes on with *more* of its arguments."""
        known = self.calls.get(key, Call(id or "", name, ""))
        self.calls[key] = known._replace(arguments=known.arguments + more)

    @property
    def asked(self) -> list[Call]:
        """The calls, with their arguments as they stand."""
        return list(self.calls.values())


class Refused(NamedTuple):
    """An error before an answer: the dialect's own words, and what they are about."""

    status: int
    words: tuple[str, ...]
    text: str
    field: str | None


@dataclass(frozen=True)
class Speaker:
    """One dialect: ``switch`` mounts it, ``tells_field``: its errors have a field for the field."""

    name: str
    switch: str
    path: str
    body: Callable[[Talk], Body]
    read: Callable[[Iterable[Event]], Told]
    refused: Callable[[int, bytes], Refused]
    model: Callable[[Body, str], Body]
    question: str
    ping: str
    has_tools: bool = True

    async def ask(
        self,
        port: int,
        talk: Talk = HELLO,
        *,
        model: str | None = None,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Exchange:
        """Send *talk* to *model*, with the fields *more* in its body; to *path*, if given."""
        body = self.body(talk)
        raw = self.raw({**(body if model is None else self.model(body, model)), **more})
        return await Exchange.open(port, path or self.path, body=raw, headers=dict(headers or {}))

    async def hear(self, exchange: Exchange) -> Told:
        """The whole answer, a stream."""
        async with exchange:
            assert await exchange.head() == 200, await exchange.body()
            told = self.read([event async for event in exchange.events()])
        assert told.ended, f"{self.name}: the stream did not end as its wire has it"
        return told

    async def refusal(self, exchange: Exchange) -> Refused:
        """The error instead of an answer."""
        async with exchange:
            return self.refused(await exchange.head(), await exchange.body())

    @staticmethod
    def raw(body: Body) -> bytes:
        """*body* as its bytes."""
        return json.dumps(body, separators=(",", ":")).encode()


def data_of(event: Event) -> Any:
    """The JSON of an event without a name; None where it is a comment."""
    # Such an event's only line is its data.
    if event.name.startswith(":"):
        return None
    return json.loads(event.name.removeprefix("data: "))


def named(body: Body, model: str) -> Body:
    return {**body, "model": model}
