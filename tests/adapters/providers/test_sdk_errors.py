"""Every exception of the two SDKs is one failure in the domain's terms."""

import re
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from anthropic._error_classes import ERROR_CLASSES

from chatnest.adapters.providers.sdk_errors import refused, retry_after_s
from chatnest.domain.errors import Failure, FailureKind
from tests.adapters.providers.sdk_cases import OPENAI, REQUEST, SDKS, SdkCase, both, failure_in

# Which kind each class of a response means, by the status that the SDK gives it for.
STATUSES = {
    "openai": {
        400: ("BadRequestError", "invalid_request"),
        401: ("AuthenticationError", "authentication"),
        402: ("APIStatusError", "quota_exhausted"),
        403: ("PermissionDeniedError", "authentication"),
        404: ("NotFoundError", "not_found"),
        409: ("ConflictError", "unknown"),
        422: ("UnprocessableEntityError", "invalid_request"),
        429: ("RateLimitError", "rate_limited"),
        500: ("InternalServerError", "server_error"),
    },
    "anthropic": {
        302: ("APIStatusError", "unknown"),
        400: ("BadRequestError", "invalid_request"),
        401: ("AuthenticationError", "authentication"),
        402: ("PaymentRequiredError", "quota_exhausted"),
        403: ("PermissionDeniedError", "authentication"),
        404: ("NotFoundError", "not_found"),
        408: ("RequestTimeoutError", "timeout"),
        409: ("ConflictError", "unknown"),
        412: ("PreconditionFailedError", "invalid_request"),
        413: ("ContentTooLargeError", "context_length"),
        422: ("UnprocessableEntityError", "invalid_request"),
        429: ("RateLimitError", "rate_limited"),
        431: ("RequestHeaderFieldsTooLargeError", "invalid_request"),
        499: ("ClientClosedRequestError", "unknown"),
        500: ("InternalServerError", "server_error"),
        501: ("HTTPNotImplementedError", "not_found"),
        503: ("ServiceUnavailableError", "overloaded"),
        504: ("GatewayTimeoutError", "timeout"),
        529: ("OverloadedError", "overloaded"),
    },
}
# What an SDK raises without an error response.
WITHOUT_ERROR_STATUS = {
    "APIResponseValidationError",
    "APIConnectionError",
    "APITimeoutError",
    "APIError",
}
# What answers that are parsed, uploads, web sockets, tools, webhooks and ways to log in raise; a
# call has none of them.
NEVER_RAISED_BY_A_CALL = {
    "openai": {
        "APIRemovedInV1",
        "AgentFilePreparationError",
        "AgentFileStagingError",
        "AgentOutputParseError",
        "AgentTurnResultError",
        "ContentFilterFinishReasonError",
        "LengthFinishReasonError",
        "MissingDependencyError",
        "MutuallyExclusiveAuthError",
        "OpenAIError",
        "StreamAlreadyConsumed",
        "SubjectTokenProviderError",
        "WebSocketConnectionClosedError",
        "WebSocketQueueFullError",
        "_AmbiguousModuleClientUsageError",
    },
    "anthropic": {
        "APIWebhookValidationError",
        "AnthropicError",
        "AsyncOnSyncToolsetError",
        "BrowserStateError",
        "CredentialsError",
        "IdentityTokenFileError",
        "MissingDependencyError",
        "MutuallyExclusiveAuthError",
        "NestedCallError",
        "RetryableError",
        "StreamAlreadyConsumed",
        "SyncOnAsyncToolsetError",
        "ToolsetClosedError",
        "ToolsetConfigError",
        "ToolsetContractError",
        "ToolsetUsageError",
        "ToolsetsFixedError",
        "WorkloadIdentityError",
    },
}


def classes_of(sdk: SdkCase) -> set[str]:
    """The names of the SDK's exceptions, read out of its sources: some of its modules need more
    packages than a call does."""
    names = {sdk.root.__name__}
    declared: list[tuple[str, str]] = []
    for file in Path(str(sdk.package.__file__)).parent.rglob("*.py"):
        declared += re.findall(r"^class (\w+)\(([^)]*)\)", file.read_text(), re.MULTILINE)
    while (
        found := {name for name, bases in declared if names & set(re.findall(r"\w+", bases))}
        - names
    ):
        names |= found
    return names


@both
def test_every_class_of_the_sdk_was_judged(sdk: SdkCase) -> None:
    name = sdk.package.__name__
    judged = WITHOUT_ERROR_STATUS | NEVER_RAISED_BY_A_CALL[name]
    judged |= {class_name for class_name, _ in STATUSES[name].values()}
    if sdk is OPENAI:
        judged.add("OAuthError")
    else:
        judged |= {one.__name__ for one in ERROR_CLASSES.values()}
    assert classes_of(sdk) == judged


@both
def test_each_status_is_the_class_and_the_kind(sdk: SdkCase) -> None:
    for status, (class_name, kind) in STATUSES[sdk.package.__name__].items():
        error = sdk.error(status)
        assert type(error).__name__ == class_name
        billable = kind == "timeout"
        assert failure_in(sdk, error) == Failure(FailureKind(kind), status, billable=billable)


def test_a_refused_login_is_one_of_authentication() -> None:
    response = httpx2.Response(401, request=REQUEST)
    error = openai.OAuthError(response=response, body={"error": "invalid_grant"})
    expected = Failure(FailureKind.AUTHENTICATION, 401, billable=False)
    assert failure_in(OPENAI, error) == expected


@both
def test_what_comes_without_an_error_response_may_be_billed(sdk: SdkCase) -> None:
    package: Any = sdk.package
    response = httpx2.Response(200, request=REQUEST)
    overloaded = {"code": "server_is_overloaded", "type": "overloaded_error"}
    errors = {
        "APIConnectionError": package.APIConnectionError(request=REQUEST),
        "APITimeoutError": package.APITimeoutError(REQUEST),
        "APIResponseValidationError": package.APIResponseValidationError(response, None),
        "APIError": package.APIError("m", REQUEST, body=overloaded),
    }
    assert errors.keys() == WITHOUT_ERROR_STATUS
    assert {name: failure_in(sdk, error) for name, error in errors.items()} == {
        "APIConnectionError": Failure(FailureKind.CONNECTION),
        "APITimeoutError": Failure(FailureKind.TIMEOUT),
        "APIResponseValidationError": Failure(FailureKind.MALFORMED, 200),
        "APIError": Failure(FailureKind.OVERLOADED, code="server_is_overloaded"),
    }


@both
def test_what_no_call_raises_is_unknown(sdk: SdkCase) -> None:
    assert failure_in(sdk, sdk.root("m")) == Failure(FailureKind.UNKNOWN)


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
@both
def test_the_providers_words_say_more_than_the_status(
    sdk: SdkCase, status: int, error: dict[str, Any], kind: str, code: str | None
) -> None:
    failure = failure_in(sdk, sdk.error(status, {"error": error}))
    assert failure == Failure(FailureKind(kind), status, code, billable=False)


@pytest.mark.parametrize("body", [None, [], "no", {"error": "no"}, {"error": {"details": []}}])
@both
def test_a_body_without_an_error_object_leaves_the_status(sdk: SdkCase, body: object) -> None:
    failure = failure_in(sdk, sdk.error(503, body))
    assert failure == Failure(FailureKind.OVERLOADED, 503, billable=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-type", b"application/json; charset=no-such-charset"),
        (b"content-encoding", b"gzip"),
        (b"location", b"http://[no address"),
        (b"x-name", "Größe".encode("latin-1")),
    ],
)
@pytest.mark.parametrize("status", [307, 503])
@both
def test_no_header_hides_the_status(sdk: SdkCase, status: int, name: bytes, value: bytes) -> None:
    error = sdk.endpoint.error(status, [(name, value)], b"\xff{")
    assert failure_in(sdk, error).status == status


@pytest.mark.parametrize("status", [408, 504, 524])
@both
def test_somebody_who_gave_up_waiting_may_have_been_billed(sdk: SdkCase, status: int) -> None:
    assert failure_in(sdk, sdk.error(status)).billable


@both
def test_messages_carry_words_and_never_sentences(sdk: SdkCase) -> None:
    error = sdk.error(429, {"error": {"message": "my secret", "code": "slow_down"}})
    assert str(refused(error, sdk.error_words)) == "answered with status 429 (slow_down)"
    assert str(refused(sdk.error(500), sdk.error_words)) == "answered with status 500"


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
    for sdk in SDKS:
        assert failure_in(sdk, sdk.error(429, headers=headers)).retry_after_s == expected
