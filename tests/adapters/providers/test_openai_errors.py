"""Every exception of the openai SDK is one failure in the domain's terms."""

from typing import Any

import aiohttp
import httpx2
import openai
import pytest
from aiohttp.client_reqrep import ConnectionKey
from openai import OpenAIError

from chatnest.adapters.providers.openai_errors import (
    failure_of,
    provider_error,
    retry_after_s,
    stream_error,
)
from chatnest.domain.errors import Failure, FailureKind

REQUEST = httpx2.Request("POST", "http://provider.test/v1/chat/completions")
UNANSWERED = Failure(FailureKind.CONNECTION, billable=True)


def status_error(
    status: int, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> openai.APIStatusError:
    """What the SDK raises for a response, made by the SDK itself."""
    client = openai.OpenAI(api_key="k", base_url="http://provider.test/v1")
    response = httpx2.Response(status, headers=headers, json=body, request=REQUEST)
    return client._make_status_error_from_response(response)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


# How each class of the SDK can be met, and what it means. A class that the SDK adds is in none of
# these, and fails the test below until somebody has judged it.
FAILURES: dict[type[OpenAIError], tuple[Exception, Failure]] = {
    openai.BadRequestError: (
        status_error(400),
        Failure(FailureKind.INVALID_REQUEST, 400, billable=False),
    ),
    openai.AuthenticationError: (
        status_error(401),
        Failure(FailureKind.AUTHENTICATION, 401, billable=False),
    ),
    openai.PermissionDeniedError: (
        status_error(403),
        Failure(FailureKind.AUTHENTICATION, 403, billable=False),
    ),
    openai.NotFoundError: (status_error(404), Failure(FailureKind.NOT_FOUND, 404, billable=False)),
    openai.ConflictError: (status_error(409), Failure(FailureKind.UNKNOWN, 409, billable=False)),
    openai.UnprocessableEntityError: (
        status_error(422),
        Failure(FailureKind.INVALID_REQUEST, 422, billable=False),
    ),
    openai.RateLimitError: (
        status_error(429),
        Failure(FailureKind.RATE_LIMITED, 429, billable=False),
    ),
    openai.InternalServerError: (
        status_error(500),
        Failure(FailureKind.SERVER_ERROR, 500, billable=False),
    ),
    openai.APIStatusError: (
        status_error(402),
        Failure(FailureKind.QUOTA_EXHAUSTED, 402, billable=False),
    ),
    openai.OAuthError: (
        openai.OAuthError(response=httpx2.Response(401, request=REQUEST), body=None),
        Failure(FailureKind.AUTHENTICATION, 401, billable=False),
    ),
    openai.APIResponseValidationError: (
        openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), None),
        Failure(FailureKind.MALFORMED, 200),
    ),
    openai.APIConnectionError: (openai.APIConnectionError(request=REQUEST), UNANSWERED),
    openai.APITimeoutError: (openai.APITimeoutError(REQUEST), Failure(FailureKind.TIMEOUT)),
    openai.APIError: (
        openai.APIError("m", REQUEST, body={"code": "server_is_overloaded"}),
        Failure(FailureKind.OVERLOADED, code="server_is_overloaded"),
    ),
    OpenAIError: (OpenAIError("m"), Failure(FailureKind.UNKNOWN)),
}
# What parsed answers, webhooks and web sockets raise; a call has none of them.
NEVER_RAISED_BY_A_CALL = {
    "ContentFilterFinishReasonError",
    "InvalidWebhookSignatureError",
    "LengthFinishReasonError",
    "WebSocketConnectionClosedError",
    "WebSocketQueueFullError",
}


def test_every_class_of_the_sdk_was_judged() -> None:
    names = (name for name in openai.__all__ if name.endswith("Error"))
    public = {getattr(openai, name) for name in names}
    assert len(public) > len(NEVER_RAISED_BY_A_CALL)
    assert {one.__name__ for one in public - FAILURES.keys()} == NEVER_RAISED_BY_A_CALL


@pytest.mark.parametrize("kind", FAILURES, ids=lambda kind: kind.__name__)
def test_each_class_means_one_failure(kind: type[OpenAIError]) -> None:
    error, failure = FAILURES[kind]
    assert type(error) is kind
    assert failure_of(error) == failure


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (
            429,
            {"code": "insufficient_quota", "type": "insufficient_quota"},
            "quota_exhausted",
            "insufficient_quota",
        ),
        (
            429,
            {"code": "rate_limit_exceeded", "type": "tokens"},
            "rate_limited",
            "rate_limit_exceeded",
        ),
        (
            400,
            {"code": "context_length_exceeded", "type": "invalid_request_error"},
            "context_length",
            "context_length_exceeded",
        ),
        (
            400,
            {"code": 400, "type": "exceed_context_size_error"},
            "context_length",
            "exceed_context_size_error",
        ),
        (400, {"code": "content_filter"}, "content_filter", "content_filter"),
        (
            503,
            {"message": "Loading model", "type": "unavailable_error", "code": 503},
            "overloaded",
            "unavailable_error",
        ),
        (500, {"code": "You wrote: my secret"}, "server_error", None),
    ],
)
def test_the_providers_words_say_more_than_the_status(
    status: int, error: dict[str, Any], kind: str, code: str | None
) -> None:
    failure = failure_of(status_error(status, {"error": error}))
    assert failure == Failure(FailureKind(kind), status, code, billable=False)


@pytest.mark.parametrize("status", [408, 504, 524])
def test_somebody_who_gave_up_waiting_may_have_been_billed(status: int) -> None:
    assert failure_of(status_error(status)).billable


CONNECTION_KEY = ConnectionKey("provider.test", 80, False, True, None, None, None)


@pytest.mark.parametrize(
    ("cause", "failure"),
    [
        (
            aiohttp.ClientConnectorError(CONNECTION_KEY, ConnectionRefusedError()),
            Failure(FailureKind.CONNECTION, billable=False),
        ),
        (
            aiohttp.ClientConnectorDNSError(CONNECTION_KEY, OSError()),
            Failure(FailureKind.CONNECTION, billable=False),
        ),
        (aiohttp.ConnectionTimeoutError(), Failure(FailureKind.TIMEOUT, billable=False)),
        (aiohttp.SocketTimeoutError(), Failure(FailureKind.TIMEOUT)),
        (aiohttp.ServerDisconnectedError(), UNANSWERED),
        (aiohttp.ClientOSError(104, "reset"), UNANSWERED),
        (aiohttp.ClientConnectionResetError("Connection lost"), UNANSWERED),
        (
            aiohttp.ClientConnectionResetError("Cannot write to closing transport"),
            Failure(FailureKind.CONNECTION, billable=False),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
@pytest.mark.parametrize(
    "wrapper", [openai.APITimeoutError(REQUEST), openai.APIConnectionError(request=REQUEST)]
)
def test_only_what_provably_never_left_is_not_billed(
    cause: Exception, failure: Failure, wrapper: Exception
) -> None:
    error = caused(wrapper, caused(httpx2.ConnectTimeout("m"), cause))
    assert failure_of(error) == failure


def test_a_broken_stream_was_interrupted_or_stalled() -> None:
    assert stream_error(httpx2.ReadTimeout("m")).failure == Failure(FailureKind.TIMEOUT)
    for error in (httpx2.ReadError("m"), httpx2.ConnectTimeout("m"), RuntimeError("m")):
        assert stream_error(error).failure == Failure(FailureKind.INTERRUPTED)


def test_messages_carry_words_and_never_sentences() -> None:
    secret = status_error(429, {"error": {"message": "my secret", "code": "slow_down"}})
    assert str(provider_error(secret)) == "answered with status 429 (slow_down)"
    refused = caused(
        openai.APIConnectionError(request=REQUEST),
        aiohttp.ClientConnectorError(CONNECTION_KEY, OSError("my secret")),
    )
    assert str(provider_error(refused)) == "connection: the request was not sent"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        (
            {
                "date": "Sun, 22 Nov 2026 10:00:00 GMT",
                "retry-after": "Sun, 22 Nov 2026 10:01:30 GMT",
            },
            90.0,
        ),
        (
            {
                "date": "Sun, 22 Nov 2026 10:00:00 GMT",
                "retry-after": "Sun, 22 Nov 2026 09:00:00 GMT",
            },
            0.0,
        ),
        ({"retry-after": "Sun, 22 Nov 2026 10:01:30 GMT"}, None),
        ({"date": "today", "retry-after": "Sun, 22 Nov 2026 10:01:30 GMT"}, None),
        (
            {
                "date": "Sun, 22 Nov 2026 10:00:00 -0000",
                "retry-after": "Sun, 22 Nov 2026 10:01:30 GMT",
            },
            None,
        ),
    ],
)
def test_a_wait_is_asked_for_in_milliseconds_seconds_or_by_date(
    headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after_s(httpx2.Headers(headers)) == expected
    failure = failure_of(status_error(429, headers=headers))
    assert failure.retry_after_s == expected
