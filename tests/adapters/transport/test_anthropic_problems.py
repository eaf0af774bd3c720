"""Refusals and errors in Anthropic's form, and what the official SDK makes of each."""

import json
from collections.abc import Callable

import anthropic
import pytest
from anthropic.types.shared import EnforcedSpendLimitReachedError

from chatnest.adapters.transport import WireResponse
from chatnest.adapters.transport.anthropic_messages import AnthropicDialect
from chatnest.adapters.transport.anthropic_problems import TYPES
from chatnest.adapters.transport.wire import Dialect
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.budget import Unit
from chatnest.domain.errors import (
    BusyError,
    ConfigurationError,
    Failure,
    FailureKind,
    InvalidRequestError,
    ProviderError,
    PublicError,
    StoreUnavailableError,
)
from tests.adapters.transport.anthropic_client import QUESTION, client_of
from tests.adapters.transport.examples import NOW, SECOND_US, exhausted, rate_limited

DIALECT: Dialect = AnthropicDialect()
SIX_HOURS_US = 21_600 * SECOND_US


def refused(refusal: Refusal) -> WireResponse:
    return DIALECT.refusal(refusal, NOW)


def failed(kind: FailureKind) -> WireResponse:
    return DIALECT.error(ProviderError("key sk-secret", Failure(kind)))


def shown(response: WireResponse) -> dict[str, object]:
    body = json.loads(response.body)
    assert isinstance(body, dict)
    assert isinstance(body["error"], dict)
    assert (body["type"], body["request_id"]) == ("error", None)
    return body["error"]


# What it is; then status, type, details.error_code, x-should-retry and retry-after; then the class
# that the SDK raises, and the seconds that it waits before each other try. None: its own back-off.
Case = tuple[
    WireResponse,
    int,
    str,
    str,
    str,
    str | None,
    type[anthropic.APIStatusError],
    int | None,
]
SOON, NEVER = "true", "false"
SHUTTING_DOWN = PublicError("server_shutting_down", "Goodbye.", retryable=True)
CASES: dict[str, Case] = {
    "rate, soon": (
        *(refused(rate_limited(1_500_000)), 429, "rate_limit_error", "rate_limited", SOON, "2"),
        *(anthropic.RateLimitError, 2),
    ),
    "rate, late": (
        *(refused(rate_limited(SIX_HOURS_US)), 429, "rate_limit_error", "rate_limited"),
        *(NEVER, "21600", anthropic.RateLimitError, 0),
    ),
    "streams": (
        *(refused(Refusal(RefusalCode.TOO_MANY_STREAMS, "streams")), 429, "rate_limit_error"),
        *("too_many_streams", SOON, "1", anthropic.RateLimitError, 1),
    ),
    "budget": (
        *(refused(exhausted("tokens-day", SIX_HOURS_US)), 429, "rate_limit_error"),
        *("enforced_spend_limit_reached", NEVER, "21600", EnforcedSpendLimitReachedError, 0),
    ),
    "budget for good": (
        *(refused(exhausted("tokens-total", None)), 429, "rate_limit_error"),
        *("enforced_spend_limit_reached", NEVER, None, EnforcedSpendLimitReachedError, 0),
    ),
    "too large": (
        *(refused(Refusal(RefusalCode.REQUEST_TOO_LARGE, "tokens-request")), 413),
        *("request_too_large", "request_too_large", NEVER, None),
        *(anthropic.ContentTooLargeError, 0),
    ),
    "profile": (
        *(refused(Refusal(RefusalCode.NOT_ALLOWED, "profile")), 403, "permission_error"),
        *("not_allowed", NEVER, None, anthropic.PermissionDeniedError, 0),
    ),
    "key that was used": (
        *(refused(Refusal(RefusalCode.DUPLICATE, "idempotency-key")), 409, "conflict_error"),
        *("duplicate", NEVER, None, anthropic.ConflictError, 0),
    ),
    "circuit": (
        *(refused(Refusal(RefusalCode.PROVIDER_DOWN, "provider", retry_after_us=10_000_001)), 503),
        *("api_error", "provider_down", SOON, "11", anthropic.ServiceUnavailableError, 11),
    ),
    "places": (
        *(refused(Refusal(RefusalCode.PROVIDER_BUSY, "provider-calls")), 503, "api_error"),
        *("provider_busy", SOON, "1", anthropic.ServiceUnavailableError, 1),
    ),
    "body": (
        *(DIALECT.error(InvalidRequestError("is odd", field="model")), 400),
        *("invalid_request_error", "invalid_request", NEVER, None),
        *(anthropic.BadRequestError, 0),
    ),
    "key": (
        *(DIALECT.error(PublicError("unauthenticated", "No key.")), 401),
        *("authentication_error", "unauthenticated", NEVER, None),
        *(anthropic.AuthenticationError, 0),
    ),
    "route": (
        *(DIALECT.error(PublicError("not_found", "None.")), 404, "not_found_error", "not_found"),
        *(NEVER, None, anthropic.NotFoundError, 0),
    ),
    "method": (
        *(DIALECT.error(PublicError("method_not_allowed", "Not so.")), 405),
        *("invalid_request_error", "method_not_allowed", NEVER, None),
        *(anthropic.APIStatusError, 0),
    ),
    "store": (
        *(DIALECT.error(StoreUnavailableError("at 10.0.0.1")), 503, "api_error"),
        *("store_unavailable", SOON, "5", anthropic.ServiceUnavailableError, 5),
    ),
    "busy": (
        *(DIALECT.error(BusyError("draining")), 503, "overloaded_error", "busy", SOON, "1"),
        *(anthropic.ServiceUnavailableError, 1),
    ),
    "shutdown": (
        *(DIALECT.error(SHUTTING_DOWN), 503, "overloaded_error", "server_shutting_down", SOON),
        *("1", anthropic.ServiceUnavailableError, 1),
    ),
    "defect": (
        *(DIALECT.error(KeyError("sk-secret")), 500, "api_error", "internal_error", NEVER, None),
        *(anthropic.InternalServerError, 0),
    ),
    "settings": (
        *(DIALECT.error(ConfigurationError("/etc/x")), 500, "api_error", "internal_error"),
        *(NEVER, None, anthropic.InternalServerError, 0),
    ),
    "unknown": (
        *(DIALECT.error(PublicError("never_heard_of", "Odd.")), 500, "api_error"),
        *("never_heard_of", NEVER, None, anthropic.InternalServerError, 0),
    ),
    **{
        f"provider {kind}": (
            *(failed(kind), status, error_type, f"provider_{kind}", should_retry, None),
            *(error, None if should_retry == SOON else 0),
        )
        for kind, status, error_type, should_retry, error in [
            (FailureKind.CONNECTION, 502, "api_error", SOON, anthropic.InternalServerError),
            (FailureKind.INTERRUPTED, 502, "api_error", SOON, anthropic.InternalServerError),
            (FailureKind.TIMEOUT, 504, "timeout_error", SOON, anthropic.GatewayTimeoutError),
            (FailureKind.RATE_LIMITED, 529, "overloaded_error", SOON, anthropic.OverloadedError),
            (FailureKind.OVERLOADED, 529, "overloaded_error", SOON, anthropic.OverloadedError),
            (FailureKind.SERVER_ERROR, 502, "api_error", SOON, anthropic.InternalServerError),
            (FailureKind.MALFORMED, 502, "api_error", NEVER, anthropic.InternalServerError),
            (FailureKind.QUOTA_EXHAUSTED, 502, "api_error", NEVER, anthropic.InternalServerError),
            (FailureKind.AUTHENTICATION, 502, "api_error", NEVER, anthropic.InternalServerError),
            (FailureKind.NOT_FOUND, 502, "api_error", NEVER, anthropic.InternalServerError),
            (FailureKind.UNKNOWN, 502, "api_error", NEVER, anthropic.InternalServerError),
            (
                *(FailureKind.INVALID_REQUEST, 400, "invalid_request_error", NEVER),
                anthropic.BadRequestError,
            ),
            (
                *(FailureKind.CONTENT_FILTER, 400, "invalid_request_error", NEVER),
                anthropic.BadRequestError,
            ),
            (
                *(FailureKind.CONTEXT_LENGTH, 413, "request_too_large", NEVER),
                anthropic.ContentTooLargeError,
            ),
        ]
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_sdk_raises_its_own_class_and_tries_again_only_where_that_helps(
    case: Case,
) -> None:
    response, status, error_type, code, should_retry, retry_after, raised, wait_s = case
    headers = dict(response.headers)
    assert response.status == status
    assert (headers["x-should-retry"], headers.get("retry-after")) == (should_retry, retry_after)
    client, requests = client_of(response.status, response.headers, [response.body])
    async with client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(**QUESTION)
    assert type(caught.value) is raised
    # Not of the class's Literal: the wire has more types than it lists.
    assert str(caught.value.type) == error_type
    assert caught.value.error_code == code
    assert len(requests) == (3 if should_retry == SOON else 1)
    if wait_s is None:
        assert all(0 < waited < 3 for waited in client.waits_s)
    else:
        assert client.waits_s == [wait_s] * (len(requests) - 1)


def test_every_kind_of_failure_and_refusal_is_in_the_table() -> None:
    codes = {code for _, _, _, code, *_ in CASES.values()}
    assert {f"provider_{kind}" for kind in FailureKind} <= codes
    ours = {"budget_exhausted": "enforced_spend_limit_reached"}
    assert {ours.get(code, str(code)) for code in RefusalCode} <= codes


def test_every_status_that_has_a_type_keeps_it() -> None:
    for response, status, error_type, code, *_ in CASES.values():
        if code not in ("busy", "server_shutting_down"):
            assert shown(response)["type"] == error_type == TYPES.get(status, "api_error")


def test_a_refusal_says_which_limit_and_how_much_of_it_is_left() -> None:
    response = refused(exhausted("tokens-day", SIX_HOURS_US))
    assert response.body == (
        b'{"type":"error","error":{"type":"rate_limit_error",'
        b'"message":"Daily AI budget exceeded. Try again tomorrow.",'
        b'"details":{"error_code":"enforced_spend_limit_reached",'
        b'"limit":{"name":"tokens-day","unit":"tokens","limit":70000,"remaining":12,"needed":166},'
        b'"retry_after_seconds":21600}},"request_id":null}'
    )
    assert response.headers == (
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
        ("retry-after", "21600"),
        ("ratelimit-policy", '"tokens-day";q=70000;w=86400'),
        ("ratelimit", '"tokens-day";r=12;t=21600'),
        ("anthropic-ratelimit-tokens-limit", "70000"),
        ("anthropic-ratelimit-tokens-remaining", "12"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-23T00:00:00Z"),
    )


def test_a_limit_of_money_is_told_without_a_header_of_the_wire() -> None:
    refusal = Refusal(RefusalCode.BUDGET_EXHAUSTED, "nano_usd-day", Unit.NANO_USD, 5, 1, 9)
    response = refused(refusal)
    assert shown(response)["details"] == {
        "error_code": "enforced_spend_limit_reached",
        "limit": {
            "name": "nano_usd-day",
            "unit": "nano_usd",
            "limit": 5,
            "remaining": 1,
            "needed": 9,
        },
    }


@pytest.mark.parametrize(
    ("field", "message"),
    [(None, "must be better"), ("messages[0].content", "messages[0].content: must be better")],
)
def test_a_bad_request_names_its_field_and_why(field: str | None, message: str) -> None:
    response = DIALECT.error(InvalidRequestError("must be better", field=field))
    assert shown(response)["message"] == message


@pytest.mark.parametrize(
    "make",
    [
        StoreUnavailableError,
        BusyError,
        ConfigurationError,
        ValueError,
        lambda text: ProviderError(text, Failure(FailureKind.UNKNOWN, code=text)),
    ],
)
def test_nothing_that_an_exception_says_is_told(make: Callable[[str], Exception]) -> None:
    assert b"sk-secret" not in DIALECT.error(make("sk-secret")).body


def test_half_a_pair_in_a_message_never_breaks_a_response() -> None:
    response = DIALECT.error(PublicError("x", "\ud83d"))
    assert shown(response)["message"] == "\ud83d"
