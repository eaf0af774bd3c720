"""What keeps a request from its answer, in Anthropic's form.

Which failure it is, and whether it is worth another try, is decided in
:mod:`~chatnest.adapters.transport.problems`; this is how the wire says it. The SDKs choose their
class by the status and ``details.error_code``, and retry by ``x-should-retry``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from chatnest.adapters.transport.data_frames import json_bytes
from chatnest.adapters.transport.problems import Problem, RefusedLimit, retry_headers
from chatnest.adapters.transport.wire import Headers, WireResponse

JSON_HEADERS: Final[Headers] = (("content-type", "application/json"),)

TYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        405: "invalid_request_error",
        409: "conflict_error",
        413: "request_too_large",
        429: "rate_limit_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)
"""The wire's type for each status; any other status is an ``api_error``."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What this wire says otherwise than the status, the type or the code of the problem."""

    status: int | None = None
    type: str | None = None
    error_code: str | None = None


_AS_IT_IS: Final = _Row()

# By the code of a Problem.
_ROWS: Final[Mapping[str, _Row]] = MappingProxyType(
    {
        # The typed EnforcedSpendLimitReachedError of the SDKs.
        "budget_exhausted": _Row(error_code="enforced_spend_limit_reached"),
        # No rate is exceeded: no waiting makes the request smaller.
        "request_too_large": _Row(413),
        # The model is overloaded, which is the wire's own 529, and not this caller's rate: the
        # same request to another process of this server would fare no better.
        "provider_overloaded": _Row(529),
        "provider_rate_limited": _Row(529),
        # This process takes no more, and another one may: a load balancer knows what a 503 is,
        # and never heard of 529.
        "busy": _Row(type="overloaded_error"),
        "server_shutting_down": _Row(type="overloaded_error"),
    }
)


class ErrorDetails(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``error_code`` is for programs; the rest says which limit it was, and when it comes back."""

    error_code: str
    limit: RefusedLimit | None = None
    retry_after_seconds: int | None = None


class ErrorObject(msgspec.Struct, frozen=True):
    """What went wrong."""

    type: str
    message: str
    details: ErrorDetails


class ErrorBody(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """The wire's error, in a response and in a stream."""

    error: ErrorObject
    request_id: str | None


def status_of(problem: Problem) -> int:
    """The status of a response about *problem*."""
    return _ROWS.get(problem.code, _AS_IT_IS).status or problem.status


def error_body(problem: Problem, request_id: str | None) -> ErrorBody:
    """*problem* as the wire's object; *request_id* None: it failed before it had one."""
    row = _ROWS.get(problem.code, _AS_IT_IS)
    error_type = row.type or TYPES.get(status_of(problem), "api_error")
    details = ErrorDetails(
        error_code=row.error_code or problem.code,
        limit=problem.limit,
        retry_after_seconds=problem.retry_after_s,
    )
    return ErrorBody(ErrorObject(error_type, _message(problem), details), request_id)


def error_response(
    problem: Problem, limits: Headers = (), request_id: str | None = None
) -> WireResponse:
    """The response to a request that gets no answer, with the headers *limits* beside its own."""
    body = error_body(problem, request_id)
    headers = JSON_HEADERS + retry_headers(problem) + limits
    return WireResponse(status_of(problem), headers, json_bytes(body))


def _message(problem: Problem) -> str:
    """One text for people: what is exact where that is known, with its field."""
    if problem.reason is None:
        return problem.text
    return f"{problem.field}: {problem.reason}" if problem.field else problem.reason
