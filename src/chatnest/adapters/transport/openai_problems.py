"""Refusals and errors in OpenAI's form: ``{"error": {message, type, param, code, …}}``.

What is beyond the original is inside ``error``, where the SDKs keep it: ``limit`` and
``retry_after_seconds``. Its clients wait for a 429 with the code ``rate_limit_exceeded`` and give
up at ``insufficient_quota``; the SDKs obey ``x-should-retry`` before both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from chatnest.adapters.transport.data_frames import json_bytes
from chatnest.adapters.transport.openai_limits import openai_limit_headers
from chatnest.adapters.transport.problems import (
    Problem,
    RefusedLimit,
    error_problem,
    refusal_problem,
    retry_headers,
)
from chatnest.adapters.transport.wire import Headers, WireResponse
from chatnest.domain.admission import Refusal
from chatnest.domain.errors import PublicError

JSON_HEADERS: Final[Headers] = (("content-type", "application/json"),)

_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"


@dataclass(frozen=True, slots=True)
class _Words:
    """``code`` None: the problem's own. ``status`` None: the one of every dialect."""

    type: str
    code: str | None = None
    status: int | None = None


_WORDS: Final[Mapping[str, _Words]] = MappingProxyType(
    {
        "invalid_request": _Words(_INVALID),
        "unauthenticated": _Words(_INVALID, "invalid_api_key"),
        "not_found": _Words(_INVALID, "model_not_found"),
        "method_not_allowed": _Words(_INVALID),
        "not_allowed": _Words(_INVALID),
        "duplicate": _Words(_INVALID),
        # The 429 of ChatNest's own wire would be sent again by those who ignore x-should-retry.
        "request_too_large": _Words(_INVALID, "context_length_exceeded", 413),
        "rate_limited": _Words("requests", "rate_limit_exceeded"),
        "too_many_streams": _Words("requests", "rate_limit_exceeded"),
        "budget_exhausted": _Words("insufficient_quota", "insufficient_quota"),
        "provider_invalid_request": _Words(_INVALID),
        "provider_content_filter": _Words(_INVALID, "content_filter"),
        "provider_context_length": _Words(_INVALID, "context_length_exceeded"),
    }
)
_ANY_WORDS: Final = _Words(_SERVER)


class ErrorObject(msgspec.Struct, frozen=True, kw_only=True):
    """The value of ``error``; its first four fields are OpenAI's."""

    message: str
    type: str
    param: str | None
    code: str
    limit: RefusedLimit | msgspec.UnsetType = msgspec.UNSET
    retry_after_seconds: int | msgspec.UnsetType = msgspec.UNSET


class ErrorBody(msgspec.Struct, frozen=True):
    """A whole error response, and the data of a stream's error."""

    error: ErrorObject


def error_body(problem: Problem) -> ErrorBody:
    """*problem* in OpenAI's words."""
    words = _words(problem)
    limit, retry_after_s = problem.limit, problem.retry_after_s
    return ErrorBody(
        ErrorObject(
            message=_message(problem),
            type=words.type,
            param=problem.field,
            code=words.code or problem.code,
            limit=msgspec.UNSET if limit is None else limit,
            retry_after_seconds=msgspec.UNSET if retry_after_s is None else retry_after_s,
        )
    )


def refusal_response(refusal: Refusal, now: int) -> WireResponse:
    """The response to a request that was not admitted at *now*."""
    problem = refusal_problem(refusal)
    limits = openai_limit_headers(refusal.rates, refusal.balances, now)
    if problem.retryable and refusal.retry_after_us is not None:
        wait_ms = max(1, -(-refusal.retry_after_us // 1_000))
        limits = (("retry-after-ms", str(wait_ms)), *limits)
    return _response(problem, limits)


def error_response(error: Exception | PublicError) -> WireResponse:
    """The response to a request that failed before its answer began."""
    return _response(error_problem(error), ())


def _response(problem: Problem, more: Headers) -> WireResponse:
    headers = JSON_HEADERS + _retry_headers(problem) + more
    status = _words(problem).status or problem.status
    return WireResponse(status, headers, json_bytes(error_body(problem)))


def _words(problem: Problem) -> _Words:
    return _WORDS.get(problem.code, _ANY_WORDS)


def _message(problem: Problem) -> str:
    """The exact reason where there is one: this wire has one text for people and programs."""
    if problem.reason is None:
        return problem.text
    return problem.reason if problem.field is None else f"{problem.field}: {problem.reason}"


def _retry_headers(problem: Problem) -> Headers:
    """A wait only where it is short: clients that ignore ``x-should-retry`` sleep through it."""
    headers = retry_headers(problem)
    if problem.retryable:
        return headers
    return tuple([header for header in headers if header[0] != "retry-after"])
