"""Counts the calls of functions that streams make on their way, where others would time them."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from litestar import Litestar

import chatnest
import chatnest.testing
from chatnest import ChatNestConfig, ChatNestPlugin
from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.app.streaming import StreamRegistry
from chatnest.testing.openai_scripts import DONE, chunk, event, text, usage_of
from chatnest.testing.upstream import End, Head, MockUpstream, Step, Wait, Write
from tests.bench import hop
from tests.support.client import chat
from tests.support.running import running
from tests.support.waiting import until

_PRODUCT = str(Path(chatnest.__file__).parent)
_FOR_TESTS = str(Path(chatnest.testing.__file__).parent)
# Python 3.12 and later make no frames for these.
_INLINED = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})
FEW, MANY = 20, 220

_FINISH = chunk({}, finish_reason="stop")


class Calls(Counter[CodeType]):
    """How often each function was entered: a coroutine or a generator also where it goes on."""

    def __str__(self) -> str:
        named = [
            f"{calls:6} {Path(code.co_filename).stem}.{code.co_qualname}"
            for code, calls in self.most_common()
        ]
        return "\n".join(named)


@contextmanager
def counted() -> Generator[Calls, None, None]:
    """Count the calls of the product's own functions on this thread meanwhile."""
    calls = Calls()

    def profile(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and _is_counted(frame.f_code):
            calls[frame.f_code] += 1

    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def _is_counted(code: CodeType) -> bool:
    file = code.co_filename
    is_ours = file.startswith(_PRODUCT) and not file.startswith(_FOR_TESTS)
    return (is_ours or file == hop.__file__) and code.co_name not in _INLINED


class Stage:
    """The whole application between two real sockets, on one thread."""

    def __init__(self, port: int, upstream: MockUpstream, registry: StreamRegistry) -> None:
        self._port = port
        self._upstream = upstream
        self._registry = registry

    async def one_by_one(self, tokens: int) -> Calls:
        """The calls for an answer of which each token is written when the last one was read.

        So none ever meets another on its way, and the number of calls is always the same.
        """
        read = [asyncio.Event() for _ in range(tokens)]
        steps: list[Step] = []
        for each in read:
            steps += (text("token "), Wait(each))
        return await self._ask((Head(), *steps, *_ending(tokens), End()), read)

    async def at_once(self, tokens: int) -> Calls:
        """The calls for an answer that comes in one piece."""
        writes = (*[text("token ")] * tokens, *_ending(tokens))
        everything = b"".join([write.data for write in writes])
        return await self._ask((Head(), Write(everything, tokens), End()), [])

    async def _ask(self, script: tuple[Step, ...], read: list[asyncio.Event]) -> Calls:
        self._upstream.scripts = script
        seen = iter(read)
        async with await chat(self._port, "Hello!") as exchange:
            with counted() as calls:
                async for each in exchange.events():
                    if each.name == "token" and read:
                        next(seen).set()
                await until(self._is_idle)
        assert each.name == "done"
        return calls

    async def _is_idle(self) -> bool:
        # Not its property, whose calls would be counted, as often as it takes.
        return not self._registry._open


def _ending(tokens: int) -> tuple[Write, ...]:
    usage = event({"choices": [], "usage": usage_of(20, tokens)})
    return (_FINISH, usage, DONE)


@asynccontextmanager
async def stage(provider: type[OpenAIProvider] = OpenAIProvider) -> AsyncGenerator[Stage, None]:
    """An application that asks a mock upstream through *provider*, and is warm."""
    config = ChatNestConfig(model="gpt-4o-mini")
    async with MockUpstream() as upstream:
        asked: Any = provider(base_url=upstream.base_url, api_key="k", trust_env=False)
        plugin = ChatNestPlugin(config, provider=asked)
        async with running(Litestar(plugins=[plugin])) as port:
            warm = Stage(port, upstream, plugin.serving().registry)
            for tokens in (FEW, MANY):
                await warm.one_by_one(tokens)
            yield warm
