"""Everything that ends an answer before its end: how it comes about, and what is told."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chatnest import RetryConfig, TimeLimitsConfig
from chatnest.adapters.providers.scripted import Script
from chatnest.domain.errors import Failure, FailureKind
from tests.end_to_end.clients.refusals import Words
from tests.end_to_end.clients.stage import Stage, Trouble, no_trouble
from tests.support.waiting import until

SAID: Final = "How far"
ONCE: Final = RetryConfig(max_attempts=1)


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One way for an answer to break off.

    ``script`` is the first answer's; any later one is whole, unless the trouble ``stays``.
    ``status`` is that of an answer in one piece, which an SDK as it comes asks for again where it
    ``is_retried``; ``responses_code`` is for a response that failed in the middle.
    """

    script: Script
    text: str
    code: str
    status: int
    anthropic_status: int | None = None
    openai: Words
    anthropic: Words
    responses_code: str = "server_error"
    said: str = SAID
    is_retried: bool = True
    stays: bool = False
    trouble: Trouble = no_trouble
    settings: Mapping[str, Any] = field(default_factory=lambda: {"retry": ONCE})


def after_two(kind: FailureKind) -> Script:
    return Script(failure=Failure(kind), fail_after=2)


@asynccontextmanager
async def cut_after_two(stage: Stage) -> AsyncGenerator[None, None]:
    """The server's own end, in the middle of the answer."""

    async def is_under_way() -> bool:
        return bool(stage.provider.calls) and stage.provider.calls[0].deltas == 2

    async def cut() -> None:
        await until(is_under_way)
        stage.plugin.serving().registry.cut()

    cutting = asyncio.create_task(cut())
    yield
    await cutting


BROKEN: Final[Mapping[str, Broken]] = {
    "broken off": Broken(
        script=after_two(FailureKind.INTERRUPTED),
        text="The model provider broke off its answer.",
        code="provider_interrupted",
        status=502,
        openai=Words("server_error", "provider_interrupted"),
        anthropic=Words("api_error", "provider_interrupted"),
    ),
    "before its first word": Broken(
        script=Script(failure=Failure(FailureKind.SERVER_ERROR)),
        text="The model provider had an internal error.",
        code="provider_server_error",
        status=502,
        openai=Words("server_error", "provider_server_error"),
        anthropic=Words("api_error", "provider_server_error"),
        said="",
    ),
    "overloaded": Broken(
        script=after_two(FailureKind.OVERLOADED),
        text="The model provider is overloaded.",
        code="provider_overloaded",
        status=503,
        openai=Words("server_error", "provider_overloaded"),
        anthropic=Words("overloaded_error", "provider_overloaded"),
        anthropic_status=529,
    ),
    "filtered": Broken(
        script=after_two(FailureKind.CONTENT_FILTER),
        text="The model provider's content filter refused this request.",
        code="provider_content_filter",
        status=400,
        openai=Words("invalid_request_error", "content_filter"),
        anthropic=Words("invalid_request_error", "provider_content_filter"),
        responses_code="invalid_prompt",
        is_retried=False,
    ),
    "silent": Broken(
        script=Script(stall_after=2),
        text="The model provider took too long.",
        code="provider_timeout",
        status=504,
        openai=Words("server_error", "provider_timeout"),
        anthropic=Words("timeout_error", "provider_timeout"),
        settings={"retry": ONCE, "time_limits": TimeLimitsConfig(idle_s=0.2)},
    ),
    "cut by a shutdown": Broken(
        script=Script(stall_after=2),
        text="The server is shutting down. Please try again.",
        code="server_shutting_down",
        status=503,
        openai=Words("server_error", "server_shutting_down"),
        anthropic=Words("overloaded_error", "server_shutting_down"),
        trouble=cut_after_two,
        stays=True,
    ),
}
