"""Refusals and errors before the stream: the original's status and text, and what goes beside."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport import ChatNestDialect, WireResponse
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.budget import Unit
from chatnest.domain.errors import (
    BusyError,
    ConfigurationError,
    Failure,
    FailureKind,
    IllegalEventError,
    InvalidRequestError,
    ProviderError,
    PublicError,
    StoreUnavailableError,
)
from tests.adapters.transport.examples import NOW, SECOND_US, exhausted, rate_limited

DIALECT = ChatNestDialect()
SIX_HOURS_US = 21_600 * SECOND_US


def refused(refusal: Refusal) -> WireResponse:
    return DIALECT.refusal(refusal, NOW)


def shown(response: WireResponse) -> dict[str, object]:
    body = json.loads(response.body)
    assert isinstance(body, dict)
    return body


def header(response: WireResponse, name: str) -> str | None:
    return dict(response.headers).get(name)


@pytest.mark.parametrize(
    ("refusal", "status", "text", "should_retry", "retry_after"),
    [
        (
            rate_limited(1_500_000),
            429,
            "Rate limit exceeded. Please slow down.",
            "true",
            "2",
        ),
        (
            Refusal(RefusalCode.REQUEST_TOO_LARGE, "tokens-request", None, 2_048, 2_048, 3_000),
            429,
            "Request too large. Please shorten your message.",
            "false",
            None,
        ),
        (
            exhausted("tokens-day", SIX_HOURS_US),
            429,
            "Daily AI budget exceeded. Try again tomorrow.",
            "false",
            "21600",
        ),
        (
            exhausted("nano_usd-day", 1),
            429,
            "Daily AI budget exceeded. Try again tomorrow.",
            "false",
            "1",
        ),
        (
            exhausted("nano_usd-month", SIX_HOURS_US),
            429,
            "Monthly AI budget exceeded. Try again next month.",
            "false",
            "21600",
        ),
        (exhausted("tokens-total", None), 429, "AI budget exceeded.", "false", None),
        (exhausted("tokens-day", None), 429, "AI budget exceeded.", "false", None),
        (
            Refusal(RefusalCode.TOO_MANY_STREAMS, "streams", limit=8, remaining=0, needed=1),
            429,
            "Too many answers at once. Please wait for one to end.",
            "true",
            "1",
        ),
        (
            Refusal(RefusalCode.PROVIDER_DOWN, "provider", retry_after_us=11_000_001),
            503,
            "The model is not available. Please try again later.",
            "true",
            "12",
        ),
        (
            Refusal(RefusalCode.PROVIDER_DOWN, "provider", retry_after_us=61_000_000),
            503,
            "The model is not available. Please try again later.",
            "false",
            "61",
        ),
        (
            Refusal(RefusalCode.PROVIDER_BUSY, "provider-calls", limit=2, remaining=0, needed=1),
            503,
            "The model is busy. Please try again.",
            "true",
            "1",
        ),
        (
            Refusal(RefusalCode.NOT_ALLOWED, "profile"),
            403,
            "Not allowed. Please choose another profile.",
            "false",
            None,
        ),
        (
            Refusal(RefusalCode.NOT_ALLOWED, "price"),
            403,
            "Not allowed. This model has no known price.",
            "false",
            None,
        ),
    ],
)
def test_a_refusal_has_its_status_its_text_and_its_retry_headers(
    refusal: Refusal, status: int, text: str, should_retry: str, retry_after: str | None
) -> None:
    response = refused(refusal)
    body = shown(response)
    assert (response.status, body["error"], body["code"]) == (status, text, refusal.code.value)
    assert header(response, "content-type") == "application/json"
    assert header(response, "x-should-retry") == should_retry
    assert body["retryable"] is (should_retry == "true")
    assert header(response, "retry-after") == retry_after
    assert body.get("retryAfterSeconds") == (None if retry_after is None else int(retry_after))


def test_a_refusal_says_which_limit_and_how_much_of_it_is_left() -> None:
    response = refused(exhausted("tokens-day", SIX_HOURS_US))
    assert response.body == (
        b'{"error":"Daily AI budget exceeded. Try again tomorrow.","code":"budget_exhausted",'
        b'"retryable":false,"retryAfterSeconds":21600,"limit":{"name":"tokens-day",'
        b'"unit":"tokens","limit":70000,"remaining":12,"needed":166}}'
    )
    assert header(response, "ratelimit-policy") == '"tokens-day";q=70000;w=86400'
    assert header(response, "ratelimit") == '"tokens-day";r=12;t=21600'


@pytest.mark.parametrize(
    ("retry_after_us", "should_retry"),
    [
        (60 * SECOND_US, "true"),
        (60 * SECOND_US + 1, "false"),
        (None, "false"),
    ],
)
def test_a_rate_limit_is_worth_waiting_for_up_to_a_minute(
    retry_after_us: int | None, should_retry: str
) -> None:
    assert header(refused(rate_limited(retry_after_us)), "x-should-retry") == should_retry


@given(st.integers(0, 10 * SECOND_US))
def test_a_client_that_waits_is_never_too_early_nor_a_second_late(retry_after_us: int) -> None:
    waited_us = int(header(refused(rate_limited(retry_after_us)), "retry-after") or 0) * SECOND_US
    assert waited_us >= max(SECOND_US, retry_after_us)
    assert waited_us < retry_after_us + SECOND_US or waited_us == SECOND_US


@pytest.mark.parametrize("code", list(RefusalCode))
def test_every_refusal_has_an_answer(code: RefusalCode) -> None:
    response = refused(Refusal(code, "some-limit"))
    of_their_own = {
        RefusalCode.PROVIDER_DOWN: 503,
        RefusalCode.PROVIDER_BUSY: 503,
        RefusalCode.DUPLICATE: 409,
    }
    assert response.status in (of_their_own.get(code, 429), 403)
    assert shown(response)["error"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (None, "Invalid messages payload"),
        ("messages", "Invalid messages payload"),
        ("messages[0].role", "Invalid messages payload"),
        ("profile", "Invalid request payload"),
    ],
)
def test_a_bad_request_names_its_field_and_why(field: str | None, text: str) -> None:
    response = DIALECT.error(InvalidRequestError("must be better", field=field))
    beside = {} if field is None else {"field": field}
    assert response.status == 400
    assert shown(response) == {
        "error": text,
        "code": "invalid_request",
        **beside,
        "reason": "must be better",
        "retryable": False,
    }


@pytest.mark.parametrize(
    ("error", "status", "code", "should_retry", "retry_after"),
    [
        (StoreUnavailableError("psycopg: at 10.0.0.1"), 503, "store_unavailable", "true", "5"),
        (BusyError("draining"), 503, "busy", "true", "1"),
        (PublicError("busy", "Going down.", retryable=True), 503, "busy", "true", "1"),
        (PublicError("unauthenticated", "No key."), 401, "unauthenticated", "false", None),
        (PublicError("never_heard_of", "Odd."), 500, "never_heard_of", "false", None),
        (ConfigurationError("/etc/secret"), 500, "internal_error", "false", None),
        (IllegalEventError("Finished"), 500, "internal_error", "false", None),
        (KeyError("sk-secret"), 500, "internal_error", "false", None),
    ],
)
def test_an_error_has_its_status_its_code_and_its_retry_headers(
    error: Exception | PublicError,
    status: int,
    code: str,
    should_retry: str,
    retry_after: str | None,
) -> None:
    response = DIALECT.error(error)
    assert (response.status, shown(response)["code"]) == (status, code)
    assert header(response, "x-should-retry") == should_retry
    assert header(response, "retry-after") == retry_after


@pytest.mark.parametrize(
    ("kind", "status", "should_retry"),
    [
        (FailureKind.CONNECTION, 502, "true"),
        (FailureKind.INTERRUPTED, 502, "true"),
        (FailureKind.TIMEOUT, 504, "true"),
        (FailureKind.RATE_LIMITED, 503, "true"),
        (FailureKind.OVERLOADED, 503, "true"),
        (FailureKind.SERVER_ERROR, 502, "true"),
        (FailureKind.MALFORMED, 502, "false"),
        (FailureKind.QUOTA_EXHAUSTED, 502, "false"),
        (FailureKind.INVALID_REQUEST, 400, "false"),
        (FailureKind.AUTHENTICATION, 502, "false"),
        (FailureKind.NOT_FOUND, 502, "false"),
        (FailureKind.CONTENT_FILTER, 400, "false"),
        (FailureKind.CONTEXT_LENGTH, 413, "false"),
        (FailureKind.UNKNOWN, 502, "false"),
    ],
)
def test_a_provider_that_fails_before_the_stream_has_a_status(
    kind: FailureKind, status: int, should_retry: str
) -> None:
    response = DIALECT.error(ProviderError("401 from https://x: key sk-secret", Failure(kind)))
    assert (response.status, header(response, "x-should-retry")) == (status, should_retry)
    assert shown(response)["code"] == f"provider_{kind}"
    assert shown(response)["error"] == (
        "Request too large. Please shorten your message." if status == 413 else "AI request failed"
    )


def test_every_kind_of_failure_has_a_status_of_its_own() -> None:
    for kind in FailureKind:
        assert DIALECT.error(ProviderError("", Failure(kind))).status != 500


@pytest.mark.parametrize(
    "make",
    [
        StoreUnavailableError,
        BusyError,
        ConfigurationError,
        IllegalEventError,
        ValueError,
        lambda text: ProviderError(text, Failure(FailureKind.UNKNOWN, code=text)),
    ],
)
def test_an_exception_s_own_words_are_never_shown(make: type[Exception]) -> None:
    response = DIALECT.error(make("sk-secret at /srv/app"))
    assert b"sk-secret" not in response.body
    assert b"/srv" not in response.body


@given(
    st.sampled_from(RefusalCode),
    st.text(max_size=8),
    st.none() | st.integers(-1, 10**18),
    st.none() | st.integers(0, 10**18),
)
def test_every_header_is_printable_ascii_and_every_body_is_json(
    code: RefusalCode, name: str, number: int | None, retry_after_us: int | None
) -> None:
    refusal = Refusal(code, name, Unit.REQUESTS, number, number, number, retry_after_us)
    response = refused(refusal)
    assert shown(response)["limit"] == {
        "name": name,
        "unit": "requests",
        "limit": number,
        "remaining": number,
        "needed": number,
    }
    for key, value in response.headers:
        assert re.fullmatch(r"[a-z-]+", key)
        assert re.fullmatch(r"[ -~]+", value)
