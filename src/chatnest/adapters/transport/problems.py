"""Why a request gets no stream: one table of statuses and texts, for every dialect.

The texts for people are the original npm server's wherever it had one for the case; what is exact
(which limit, how much is left, which field) goes beside them. A dialect puts a :class:`Problem`
into its own form and decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from chatnest.adapters.transport.limit_headers import ceil_s
from chatnest.adapters.transport.wire import Headers
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.budget import Unit
from chatnest.domain.errors import (
    BusyError,
    InvalidRequestError,
    ProviderError,
    PublicError,
    StoreUnavailableError,
)
from chatnest.domain.retry import public_error


@dataclass(frozen=True, slots=True)
class RefusedLimit:
    """The limit that a refusal is about; numbers in its own unit, None where it has none."""

    name: str
    unit: Unit | None
    limit: int | None
    remaining: int | None
    needed: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request got no stream.

    ``code`` is for programs, ``text`` for people; ``reason`` is one more sentence, ``field`` the
    path of the field that is at fault. ``retryable``: the same request is worth sending again by
    itself, soon. ``retry_after_s`` is when it can succeed, which may be long after soon.
    """

    status: int
    code: str
    text: str
    reason: str | None = None
    field: str | None = None
    retryable: bool = False
    retry_after_s: int | None = None
    limit: RefusedLimit | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """``passes``: waiting helps. ``retry_after_s``: how long, where nobody knows better."""

    status: int
    text: str
    passes: bool = False
    retry_after_s: int | None = None


INVALID_MESSAGES: Final = "Invalid messages payload"
INVALID_FIELD: Final = "Invalid request payload"
TOO_LARGE: Final = "Request too large. Please shorten your message."
FAILED: Final = "AI request failed"

# Beyond this a waiting client is a stuck one: openai-node and the AI SDK ignore a Retry-After over
# 60 s and try again at once, and both Anthropic SDKs sleep through any.
SOON_S: Final = 60

_REFUSALS: Final[Mapping[RefusalCode, _Row]] = MappingProxyType(
    {
        RefusalCode.NOT_ALLOWED: _Row(403, "Not allowed."),
        RefusalCode.REQUEST_TOO_LARGE: _Row(429, TOO_LARGE),
        RefusalCode.PROVIDER_DOWN: _Row(
            503, "The model is not available. Please try again later.", passes=True
        ),
        RefusalCode.PROVIDER_BUSY: _Row(
            503, "The model is busy. Please try again.", passes=True, retry_after_s=1
        ),
        RefusalCode.DUPLICATE: _Row(
            409, "This request was made before. Use another Idempotency-Key for a new one."
        ),
        RefusalCode.RATE_LIMITED: _Row(429, "Rate limit exceeded. Please slow down.", passes=True),
        RefusalCode.TOO_MANY_STREAMS: _Row(
            429,
            "Too many answers at once. Please wait for one to end.",
            passes=True,
            retry_after_s=1,
        ),
        RefusalCode.BUDGET_EXHAUSTED: _Row(429, "AI budget exceeded."),
    }
)

# By the end of the limit's name: a budget's window, or what was not allowed.
_REFUSAL_TEXTS: Final[Mapping[tuple[RefusalCode, str], str]] = MappingProxyType(
    {
        (RefusalCode.NOT_ALLOWED, "profile"): "Not allowed. Please choose another profile.",
        (RefusalCode.NOT_ALLOWED, "price"): "Not allowed. This model has no known price.",
        (RefusalCode.BUDGET_EXHAUSTED, "day"): "Daily AI budget exceeded. Try again tomorrow.",
        (RefusalCode.BUDGET_EXHAUSTED, "month"): (
            "Monthly AI budget exceeded. Try again next month."
        ),
    }
)

# By the code of a PublicError. The last three are about the request itself, so they are no 5xx: the
# npm client would send it again.
_ERRORS: Final[Mapping[str, _Row]] = MappingProxyType(
    {
        "unauthenticated": _Row(401, "Not authenticated. Please send a valid key."),
        "not_found": _Row(404, "Not found."),
        "method_not_allowed": _Row(405, "Method not allowed."),
        "store_unavailable": _Row(503, FAILED, retry_after_s=5),
        "busy": _Row(503, FAILED, retry_after_s=1),
        "server_shutting_down": _Row(503, FAILED, retry_after_s=1),
        "provider_connection": _Row(502, FAILED),
        "provider_interrupted": _Row(502, FAILED),
        "provider_timeout": _Row(504, FAILED),
        "provider_rate_limited": _Row(503, FAILED),
        "provider_overloaded": _Row(503, FAILED),
        "provider_server_error": _Row(502, FAILED),
        "provider_quota_exhausted": _Row(502, FAILED),
        "provider_authentication": _Row(502, FAILED),
        "provider_not_found": _Row(502, FAILED),
        "provider_malformed": _Row(502, FAILED),
        "provider_unknown": _Row(502, FAILED),
        "provider_invalid_request": _Row(400, FAILED),
        "provider_content_filter": _Row(400, FAILED),
        "provider_context_length": _Row(413, TOO_LARGE),
    }
)
_ANY_ERROR: Final = _Row(500, FAILED)

_STORE_UNAVAILABLE: Final = PublicError(
    "store_unavailable", "Spending cannot be checked at the moment.", retryable=True
)
_BUSY: Final = PublicError("busy", "This server takes no new chats at the moment.", retryable=True)
_INTERNAL: Final = PublicError("internal_error", "The server failed.")


def refusal_problem(refusal: Refusal) -> Problem:
    """The problem of a request that was not admitted."""
    row = _REFUSALS[refusal.code]
    retry_after_s = row.retry_after_s
    if refusal.retry_after_us is not None:
        retry_after_s = max(1, ceil_s(refusal.retry_after_us))
    return Problem(
        status=row.status,
        code=str(refusal.code),
        text=_refusal_text(refusal, row),
        retryable=row.passes and retry_after_s is not None and retry_after_s <= SOON_S,
        retry_after_s=retry_after_s,
        limit=RefusedLimit(
            refusal.limit_name, refusal.unit, refusal.limit, refusal.remaining, refusal.needed
        ),
    )


def error_problem(error: Exception | PublicError) -> Problem:
    """The problem of a request that failed before its stream began.

    Nothing is told of an exception that is not ChatNest's own.
    """
    match error:
        case InvalidRequestError(reason=reason, field=field):
            text = _invalid_text(field)
            return Problem(400, "invalid_request", text, reason=reason, field=field)
        case PublicError():
            return _public_problem(error)
        case ProviderError(failure=failure):
            return _public_problem(public_error(failure))
        case StoreUnavailableError():
            return _public_problem(_STORE_UNAVAILABLE)
        case BusyError():
            return _public_problem(_BUSY)
        case _:
            return _public_problem(_INTERNAL)


def retry_headers(problem: Problem) -> Headers:
    """What tells a client whether, and when, to send the request again.

    The SDKs of OpenAI and Anthropic obey ``x-should-retry`` over status and ``Retry-After``.
    """
    should_retry = ("x-should-retry", "true" if problem.retryable else "false")
    if problem.retry_after_s is None:
        return (should_retry,)
    return (should_retry, ("retry-after", str(problem.retry_after_s)))


def _public_problem(error: PublicError) -> Problem:
    row = _ERRORS.get(error.code, _ANY_ERROR)
    return Problem(
        status=row.status,
        code=error.code,
        text=row.text,
        reason=error.message,
        retryable=error.retryable,
        retry_after_s=row.retry_after_s,
    )


def _refusal_text(refusal: Refusal, row: _Row) -> str:
    if refusal.code is RefusalCode.BUDGET_EXHAUSTED and refusal.retry_after_us is None:
        return row.text  # It would not fit tomorrow either.
    return _REFUSAL_TEXTS.get((refusal.code, refusal.limit_name.rpartition("-")[2]), row.text)


def _invalid_text(field: str | None) -> str:
    return INVALID_MESSAGES if (field or "messages").startswith("messages") else INVALID_FIELD
