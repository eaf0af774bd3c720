"""Everything that keeps a request from an answer: how a server comes to it, and what is told.

The trouble strikes the client's first request and is over with it, except for what stays by
itself: a client that is to send its request again is answered then.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from chatnest import (
    AuthConfig,
    BudgetConfig,
    CircuitConfig,
    KeyConfig,
    ProfileConfig,
    RetryConfig,
    RouteConfig,
    TargetConfig,
)
from chatnest.adapters.providers.scripted import Script, Scripts
from chatnest.domain.errors import Failure, FailureKind
from tests.end_to_end.clients.stage import Stage, Trouble, no_trouble, read


class Words(NamedTuple):
    """What one of the two SDK families is told beside the status."""

    type: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """One way to be refused.

    ``settings`` are the server's, ``scripts`` its provider's; ``asked`` is what the client does
    otherwise than usual. ``text`` is for people; ``reason`` is what /v1 says instead of it, where
    that is more exact, and ``v1_status`` the status there, where it is another.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    scripts: Scripts = Script()  # noqa: RUF009  # frozen
    provider_name: str | None = "scripted"
    trouble: Trouble = no_trouble
    asked: Mapping[str, Any] = field(default_factory=dict)
    status: int
    v1_status: int | None = None
    text: str
    reason: str | None = None
    code: str
    openai: Words
    anthropic: Words
    is_retried: bool = False
    stays: bool = False


@asynccontextmanager
async def used_up(stage: Stage) -> AsyncGenerator[None, None]:
    await stage.use_up()
    yield


@asynccontextmanager
async def one_answer_under_way(stage: Stage) -> AsyncGenerator[None, None]:
    async with await stage.open():
        yield


@asynccontextmanager
async def one_answer_failed(stage: Stage) -> AsyncGenerator[None, None]:
    await read(await stage.open())
    yield


@asynccontextmanager
async def store_down(stage: Stage) -> AsyncGenerator[None, None]:
    stage.store.down = True
    yield
    stage.store.down = False


@asynccontextmanager
async def same_key_before(stage: Stage) -> AsyncGenerator[None, None]:
    await read(await stage.open(idempotency_key="key-1"))
    yield


@asynccontextmanager
async def draining(stage: Stage) -> AsyncGenerator[None, None]:
    stage.plugin.serving().registry.begin_drain(60_000_000)
    yield


_A_DOLLAR: Final = BudgetConfig(scope="global", unit="usd", period="day", limit=Decimal(1))
_ONE_REQUEST: Final = BudgetConfig(
    scope="principal", unit="requests", period="month", limit=Decimal(1)
)
_BAD_REQUEST: Final = Words("invalid_request_error", "invalid_request")

REFUSALS: Final[Mapping[str, Refused]] = {
    "a budget that is exhausted": Refused(
        settings={"budgets": (_ONE_REQUEST,)},
        trouble=used_up,
        status=429,
        text="Monthly AI budget exceeded. Try again next month.",
        code="budget_exhausted",
        openai=Words("insufficient_quota", "insufficient_quota"),
        anthropic=Words("rate_limit_error", "enforced_spend_limit_reached"),
        stays=True,
    ),
    "a rate that is exceeded": Refused(
        settings={"profiles": {"balanced": ProfileConfig(requests_per_minute=30)}},
        trouble=used_up,
        status=429,
        text="Rate limit exceeded. Please slow down.",
        code="rate_limited",
        openai=Words("requests", "rate_limit_exceeded"),
        anthropic=Words("rate_limit_error", "rate_limited"),
        is_retried=True,
    ),
    "too many streams": Refused(
        settings={"profiles": {"balanced": ProfileConfig(concurrent_streams=1)}},
        trouble=one_answer_under_way,
        status=429,
        text="Too many answers at once. Please wait for one to end.",
        code="too_many_streams",
        openai=Words("requests", "rate_limit_exceeded"),
        anthropic=Words("rate_limit_error", "too_many_streams"),
        is_retried=True,
    ),
    "a request that is too large": Refused(
        asked={"question": "word " * 5_000},
        status=429,
        v1_status=413,
        text="Request too large. Please shorten your message.",
        code="request_too_large",
        openai=Words("invalid_request_error", "context_length_exceeded"),
        anthropic=Words("request_too_large", "request_too_large"),
        stays=True,
    ),
    "what is not allowed": Refused(
        settings={"budgets": (_A_DOLLAR,)},
        provider_name="unpriced",
        asked={"model": "unpriced"},
        status=403,
        text="Not allowed. This model has no known price.",
        code="not_allowed",
        openai=Words("invalid_request_error", "not_allowed"),
        anthropic=Words("permission_error", "not_allowed"),
        stays=True,
    ),
    "a key that is not known": Refused(
        settings={"auth": AuthConfig(keys=(KeyConfig(name="ada", sha256="0" * 64),))},
        status=401,
        text="Not authenticated. Please send a valid key.",
        reason="This key is not known here.",
        code="unauthenticated",
        openai=Words("invalid_request_error", "invalid_api_key"),
        anthropic=Words("authentication_error", "unauthenticated"),
        stays=True,
    ),
    "a model that is not known": Refused(
        asked={"model": "no-such-model"},
        status=400,
        text="Invalid request payload",
        reason="model: no such model; there is: scripted",
        code="invalid_request",
        openai=_BAD_REQUEST,
        anthropic=_BAD_REQUEST,
        stays=True,
    ),
    "a bad request": Refused(
        asked={"question": " "},
        status=400,
        text="Invalid messages payload",
        reason="is blank; say something",
        code="invalid_request",
        openai=_BAD_REQUEST,
        anthropic=_BAD_REQUEST,
        stays=True,
    ),
    "a key that was used before": Refused(
        trouble=same_key_before,
        asked={"headers": {"idempotency-key": "key-1"}},
        status=409,
        text="This request was made before. Use another Idempotency-Key for a new one.",
        code="duplicate",
        openai=Words("invalid_request_error", "duplicate"),
        anthropic=Words("conflict_error", "duplicate"),
        stays=True,
    ),
    "a provider that is down": Refused(
        settings={
            "circuit": CircuitConfig(failures=1, open_s=2),
            "retry": RetryConfig(max_attempts=1),
        },
        scripts=[Script(failure=Failure(FailureKind.SERVER_ERROR)), Script()],
        trouble=one_answer_failed,
        status=503,
        text="The model is not available. Please try again later.",
        code="provider_down",
        openai=Words("server_error", "provider_down"),
        anthropic=Words("api_error", "provider_down"),
        is_retried=True,
    ),
    "a provider that is busy": Refused(
        settings={
            "routes": {"scripted": RouteConfig(targets=("scripted/scripted",))},
            "targets": {"scripted/scripted": TargetConfig(max_concurrent=1, max_wait_s=0.01)},
        },
        provider_name=None,
        trouble=one_answer_under_way,
        status=503,
        text="The model is busy. Please try again.",
        code="provider_busy",
        openai=Words("server_error", "provider_busy"),
        anthropic=Words("api_error", "provider_busy"),
        is_retried=True,
    ),
    "a store that is down": Refused(
        trouble=store_down,
        status=503,
        text="AI request failed",
        reason="Spending cannot be checked at the moment.",
        code="store_unavailable",
        openai=Words("server_error", "store_unavailable"),
        anthropic=Words("api_error", "store_unavailable"),
        is_retried=True,
    ),
    "a server that shuts down": Refused(
        trouble=draining,
        status=503,
        text="AI request failed",
        reason="This server takes no new chats at the moment.",
        code="busy",
        openai=Words("server_error", "busy"),
        anthropic=Words("overloaded_error", "busy"),
        is_retried=True,
        stays=True,
    ),
}
