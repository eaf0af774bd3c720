"""A served application whose provider plays a script, and what can go wrong around it."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from typing import Any, Final, TypeVar

from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send

from chatnest import ChatNestConfig, ChatNestPlugin, Principal
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers.scripted import Script, ScriptedProvider, Scripts
from chatnest.adapters.storage import MemoryStore
from chatnest.domain.answer import Answer
from chatnest.domain.budget import Unit
from chatnest.domain.chat import ChatService
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.events import ProviderBatch
from chatnest.domain.ledger import Keys, Step
from chatnest.domain.messages import Message, Role
from chatnest.domain.ports import ProviderCall
from chatnest.domain.requests import ChatRequest
from tests.support.running import running
from tests.support.waiting import until

T = TypeVar("T")

CALLER: Final = Principal("address:127.0.0.1")


class FailingStore(MemoryStore):
    """A ledger in memory that does not answer while it is ``down``."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.down = False

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        if self.down:
            raise StoreUnavailableError("down")
        return await super().transact(keys, step)


class TimedProvider(ScriptedProvider):
    """Notes when each of its calls was closed, in milliseconds since the Unix epoch."""

    def __init__(self, scripts: Scripts, name: str) -> None:
        super().__init__(SystemClock(), scripts, name=name)
        self.closed_at_ms: list[float] = []

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        async with super().stream(call) as batches:
            try:
                yield batches
            finally:
                self.closed_at_ms.append(time.time() * 1_000)


class Stage:
    """One application, and how many requests of its client have reached it."""

    def __init__(
        self, url: str, provider: TimedProvider, plugin: ChatNestPlugin, store: FailingStore
    ) -> None:
        self.url = url
        self.provider = provider
        self.plugin = plugin
        self.store = store
        self.requests = 0

    @property
    def service(self) -> ChatService:
        """What its routes ask."""
        return self.plugin.serving().service

    async def open(self, text: str = "one", **fields: Any) -> Answer:
        """An answer of the caller's that nobody reads."""
        request = ChatRequest((Message(Role.USER, text),), **fields)
        answer = await self.service.open(CALLER, request)
        assert isinstance(answer, Answer), answer
        return answer

    async def use_up(self) -> None:
        """Ask, as the caller, until that is refused."""
        request = ChatRequest((Message(Role.USER, "one"),))
        while isinstance(answer := await self.service.open(CALLER, request), Answer):
            await read(answer)

    async def settled_tokens(self) -> int:
        """What the caller has used today, once nothing is held any more."""

        async def nothing_held() -> bool:
            return not (await self._tokens())[1]

        await until(nothing_held)
        return (await self._tokens())[0]

    async def _tokens(self) -> tuple[int, int]:
        view = await self.service.usage(CALLER)
        (balance,) = (
            each
            for each in view.balances
            if each.rule.scope == CALLER.id and each.rule.unit is Unit.TOKENS
        )
        return balance.settled, balance.held


Trouble = Callable[[Stage], AbstractAsyncContextManager[object]]
"""What goes wrong while a client's first request is answered, and is over afterwards."""


def no_trouble(_: Stage) -> AbstractAsyncContextManager[object]:
    """Nothing goes wrong."""
    return nullcontext()


class Site:
    """Applications on one socket, each below a path of its own; leaving it ends them."""

    def __init__(self, port: int, apps: dict[str, ASGIApp], open_apps: AsyncExitStack) -> None:
        self._port = port
        self._apps = apps
        self._open_apps = open_apps

    async def stage(
        self,
        scripts: Scripts = Script(),  # noqa: B008  # frozen
        *,
        trouble: Trouble = no_trouble,
        provider_name: str | None = "scripted",
        **settings: Any,
    ) -> Stage:
        """One more application; without *provider_name* its configuration chooses who answers."""
        provider, store = TimedProvider(scripts, provider_name or ""), FailingStore()
        plugin = ChatNestPlugin(
            ChatNestConfig(**settings), provider=provider if provider_name else None, store=store
        )
        app = Litestar(plugins=[plugin], openapi_config=None)
        await self._open_apps.enter_async_context(app.lifespan())
        name = str(len(self._apps))
        stage = Stage(f"http://127.0.0.1:{self._port}/{name}", provider, plugin, store)
        self._apps[name] = _counting(stage, trouble, app)
        return stage


@asynccontextmanager
async def open_site() -> AsyncGenerator[Site, None]:
    """A site without any application, served on this loop."""
    apps: dict[str, ASGIApp] = {}

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        _, name, path = scope["path"].split("/", 2)
        below: Any = {**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}
        await apps[name](below, receive, send)

    async with running(route, lifespan="off") as port, AsyncExitStack() as open_apps:
        yield Site(port, apps, open_apps)


@asynccontextmanager
async def staged(
    scripts: Scripts = Script(),  # noqa: B008  # frozen
    **settings: Any,
) -> AsyncGenerator[Stage, None]:
    """One application on a site of its own, with the *settings* that a site takes."""
    async with open_site() as site:
        yield await site.stage(scripts, **settings)


async def read(answer: Answer) -> None:
    """Read *answer* to its end."""
    async with answer:
        async for _ in answer:
            pass


def _counting(stage: Stage, trouble: Trouble, app: ASGIApp) -> ASGIApp:
    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        stage.requests += 1
        async with trouble(stage) if stage.requests == 1 else nullcontext():
            await app(scope, receive, send)

    return count
