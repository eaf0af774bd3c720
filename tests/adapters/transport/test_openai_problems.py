"""Refusals and errors in OpenAI's form, and what its own client makes of each of them."""

import json
import re
from dataclasses import replace

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport import Dialect, WireResponse
from chatnest.adapters.transport.openai_chat import OpenAIChatDialect
from chatnest.adapters.transport.openai_limits import wait_text
from chatnest.domain.admission import Admitted, Refusal, RefusalCode
from chatnest.domain.budget import Hold, Unit
from chatnest.domain.errors import (
    BusyError,
    Failure,
    FailureKind,
    InvalidRequestError,
    ProviderError,
    PublicError,
    StoreUnavailableError,
)
from chatnest.domain.events import Started
from chatnest.domain.windows import Period
from tests.adapters.transport.examples import (
    NOW,
    SECOND_US,
    balance,
    exhausted,
    rate,
    rate_limited,
)
from tests.adapters.transport.openai_sdk import Served, client_of

DIALECT: Dialect = OpenAIChatDialect()
SERVED = Served()
CLIENT = client_of(SERVED)

TOO_LARGE = Refusal(RefusalCode.REQUEST_TOO_LARGE, "tokens-request", None, 2_048, 2_048, 3_000)
TOO_MANY = Refusal(RefusalCode.TOO_MANY_STREAMS, "streams", limit=8, remaining=0, needed=1)
INVALID, SERVER = "invalid_request_error", "server_error"


def told(error: Exception | PublicError) -> WireResponse:
    return DIALECT.error(error)


def failed(kind: FailureKind) -> WireResponse:
    return told(ProviderError("401 from https://x: key sk-secret", Failure(kind)))


def refused(refusal: Refusal) -> WireResponse:
    return DIALECT.refusal(refusal, NOW)


def error_of(response: WireResponse) -> dict[str, object]:
    body = json.loads(response.body)
    assert list(body) == ["error"]
    error = body["error"]
    assert isinstance(error, dict)
    return error


SHUTTING_DOWN = PublicError("server_shutting_down", "Goodbye.", retryable=True)
RATE = (429, "requests", "rate_limit_exceeded")
QUOTA = (429, "insufficient_quota", "insufficient_quota")
LENGTH = (413, INVALID, "context_length_exceeded")

# The last is how long the client waits before it asks again; None: twice, as long as it likes.
CASES: list[tuple[WireResponse, tuple[int, str, str], tuple[float, ...] | None]] = [
    (refused(rate_limited(1_500_000)), RATE, (1.5, 1.5)),
    (refused(rate_limited(60 * SECOND_US + 1)), RATE, ()),
    (refused(TOO_MANY), RATE, (1, 1)),
    (refused(exhausted("tokens-day", 21_600 * SECOND_US)), QUOTA, ()),
    (refused(exhausted("tokens-day", SECOND_US)), QUOTA, ()),
    (refused(exhausted("tokens-total", None)), QUOTA, ()),
    (refused(TOO_LARGE), LENGTH, ()),
    (refused(Refusal(RefusalCode.NOT_ALLOWED, "profile")), (403, INVALID, "not_allowed"), ()),
    (refused(Refusal(RefusalCode.DUPLICATE, "idempotency-key")), (409, INVALID, "duplicate"), ()),
    (
        refused(Refusal(RefusalCode.PROVIDER_DOWN, "provider", retry_after_us=11_000_001)),
        (503, SERVER, "provider_down"),
        (11.001, 11.001),
    ),
    (
        refused(Refusal(RefusalCode.PROVIDER_BUSY, "provider-calls")),
        (503, SERVER, "provider_busy"),
        (1, 1),
    ),
    (told(InvalidRequestError("must be 1", field="n")), (400, INVALID, "invalid_request"), ()),
    (told(PublicError("unauthenticated", "No key.")), (401, INVALID, "invalid_api_key"), ()),
    (told(PublicError("not_found", "No model.")), (404, INVALID, "model_not_found"), ()),
    (told(PublicError("method_not_allowed", "No.")), (405, INVALID, "method_not_allowed"), ()),
    (told(StoreUnavailableError("at 10.0.0.1")), (503, SERVER, "store_unavailable"), (5, 5)),
    (told(BusyError("draining")), (503, SERVER, "busy"), (1, 1)),
    (told(SHUTTING_DOWN), (503, SERVER, "server_shutting_down"), (1, 1)),
    (told(KeyError("sk-secret")), (500, SERVER, "internal_error"), ()),
    (failed(FailureKind.CONNECTION), (502, SERVER, "provider_connection"), None),
    (failed(FailureKind.INTERRUPTED), (502, SERVER, "provider_interrupted"), None),
    (failed(FailureKind.TIMEOUT), (504, SERVER, "provider_timeout"), None),
    (failed(FailureKind.RATE_LIMITED), (503, SERVER, "provider_rate_limited"), None),
    (failed(FailureKind.OVERLOADED), (503, SERVER, "provider_overloaded"), None),
    (failed(FailureKind.SERVER_ERROR), (502, SERVER, "provider_server_error"), None),
    (failed(FailureKind.MALFORMED), (502, SERVER, "provider_malformed"), ()),
    (failed(FailureKind.QUOTA_EXHAUSTED), (502, SERVER, "provider_quota_exhausted"), ()),
    (failed(FailureKind.INVALID_REQUEST), (400, INVALID, "provider_invalid_request"), ()),
    (failed(FailureKind.AUTHENTICATION), (502, SERVER, "provider_authentication"), ()),
    (failed(FailureKind.NOT_FOUND), (502, SERVER, "provider_not_found"), ()),
    (failed(FailureKind.CONTENT_FILTER), (400, INVALID, "content_filter"), ()),
    (failed(FailureKind.CONTEXT_LENGTH), LENGTH, ()),
    (failed(FailureKind.UNKNOWN), (502, SERVER, "provider_unknown"), ()),
]
RAISED: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}


@pytest.mark.parametrize(
    ("response", "words", "waits_s"), CASES, ids=[f"{words[0]}-{words[2]}" for _, words, _ in CASES]
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_problem_has_its_words_and_the_sdk_its_exception_and_its_retries(
    response: WireResponse,
    words: tuple[int, str, str],
    waits_s: tuple[float, ...] | None,
    stream: bool,
) -> None:
    SERVED.whole(response)
    with pytest.raises(openai.APIStatusError) as caught:
        CLIENT.chat.completions.create(model="m", messages=[], stream=stream)
    error = caught.value
    assert type(error) is RAISED.get(words[0], openai.APIStatusError)
    assert (error.status_code, error.type, error.code) == words
    assert error.body == error_of(response)
    assert len(SERVED.waits_s) == (2 if waits_s is None else len(waits_s))
    assert waits_s in (None, tuple(SERVED.waits_s))
    assert SERVED.asked == 1 + len(SERVED.waits_s)


def test_every_refusal_and_every_failure_is_in_the_table() -> None:
    for code in RefusalCode:
        answer = refused(Refusal(code, "some-limit"))
        assert (error_of(answer)["type"] == SERVER) is (answer.status >= 500)
    codes = {str(error_of(failed(kind))["code"]) for kind in FailureKind}
    assert codes <= {words[2] for _, words, _ in CASES}


def test_a_refusal_says_which_limit_and_how_much_of_it_is_left() -> None:
    response = refused(exhausted("tokens-day", 21_600 * SECOND_US))
    assert response.body == (
        b'{"error":{"message":"Daily AI budget exceeded. Try again tomorrow.",'
        b'"type":"insufficient_quota","param":null,"code":"insufficient_quota",'
        b'"limit":{"name":"tokens-day","unit":"tokens","limit":70000,"remaining":12,"needed":166},'
        b'"retry_after_seconds":21600}}'
    )
    assert response.headers == (
        ("content-type", "application/json"),
        ("x-should-retry", "false"),
        ("x-ratelimit-limit-tokens", "70000"),
        ("x-ratelimit-remaining-tokens", "12"),
        ("x-ratelimit-reset-tokens", "6h0m0s"),
        ("ratelimit-policy", '"tokens-day";q=70000;w=86400'),
        ("ratelimit", '"tokens-day";r=12;t=21600'),
    )


def test_a_wait_that_is_worth_it_is_told_to_the_millisecond() -> None:
    headers = dict(refused(rate_limited(1_500_001)).headers)
    assert (headers["retry-after-ms"], headers["retry-after"]) == ("1501", "2")
    headers = dict(refused(rate_limited(0)).headers)
    assert (headers["retry-after-ms"], headers["retry-after"]) == ("1", "1")


@pytest.mark.parametrize(
    ("field", "message"),
    [(None, "must be better"), ("messages[0].role", "messages[0].role: must be better")],
)
def test_a_bad_request_names_its_field_and_why(field: str | None, message: str) -> None:
    assert error_of(told(InvalidRequestError("must be better", field=field))) == {
        "message": message,
        "type": INVALID,
        "param": field,
        "code": "invalid_request",
    }


@pytest.mark.parametrize(
    "make",
    [StoreUnavailableError, BusyError, ValueError],
)
def test_an_exception_s_own_words_are_never_shown(make: type[Exception]) -> None:
    assert b"secret" not in DIALECT.error(make("sk-secret")).body


def admitted(*, limited: bool) -> Admitted:
    hold = Hold("h", "r", "someone", "balanced", "p", "m", (), 400, NOW, NOW + 1)
    if not limited:
        return Admitted(hold, (), (balance(limit=None), balance(Unit.NANO_USD)))
    balances = (
        balance(held=600),
        balance(period=Period.TOTAL, limit=900, settled=500, scope="global"),
        balance(Unit.REQUESTS, limit=50, settled=5),
        balance(limit=None, scope="team"),
    )
    hourly = rate(9, 360 * SECOND_US, limit=90, period_us=3_600 * SECOND_US)
    return Admitted(hold, (rate(29, 12_000), hourly), balances)


def test_an_answer_has_its_request_s_id_and_the_tightest_limits() -> None:
    started = Started("request-1", "model-1", "balanced", NOW)
    headers = DIALECT.answer_headers(started, admitted(limited=True), NOW)
    assert headers[:6] == (
        ("x-request-id", "request-1"),
        ("x-ratelimit-limit-requests", "90"),
        ("x-ratelimit-remaining-requests", "9"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-limit-tokens", "900"),
        ("x-ratelimit-remaining-tokens", "400"),
    )
    assert [name for name, _ in headers[6:]] == ["ratelimit-policy", "ratelimit"]
    assert DIALECT.stream_headers(started, admitted(limited=True), NOW) == (
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("connection", "keep-alive"),
        ("x-accel-buffering", "no"),
        *headers,
    )


def test_a_budget_of_requests_with_less_left_than_a_rate_is_told_instead() -> None:
    headers = DIALECT.answer_headers(
        Started("request-1", "model-1", "balanced", NOW),
        replace(admitted(limited=True), balances=(balance(Unit.REQUESTS, limit=50, settled=45),)),
        NOW,
    )
    assert headers[1:4] == (
        ("x-ratelimit-limit-requests", "50"),
        ("x-ratelimit-remaining-requests", "5"),
        ("x-ratelimit-reset-requests", "6h0m0s"),
    )


def test_what_has_no_limit_has_no_header() -> None:
    started = Started("request-1", "model-1", "balanced", NOW)
    names = [name for name, _ in DIALECT.answer_headers(started, admitted(limited=False), NOW)]
    assert names == ["x-request-id", "ratelimit-policy", "ratelimit"]


@pytest.mark.parametrize(
    ("duration_us", "text"),
    [
        (-5, "0ms"),
        (0, "0ms"),
        (1, "1ms"),
        (12_000, "12ms"),
        (999_001, "1s"),
        (2_500_000, "2.5s"),
        (59_999_999, "1m0s"),
        (360 * SECOND_US, "6m0s"),
        (3_599 * SECOND_US + 1, "1h0m0s"),
        (21_600 * SECOND_US, "6h0m0s"),
        (90_061 * SECOND_US, "25h1m1s"),
    ],
)
def test_a_wait_is_written_as_openai_does(duration_us: int, text: str) -> None:
    assert wait_text(duration_us) == text


@given(st.integers(0, 10**12))
def test_who_waits_as_written_never_comes_too_early_nor_a_second_late(duration_us: int) -> None:
    match = re.fullmatch(r"(?:(\d+)ms|(?:(\d+)h)?(?:(\d+)m)?([\d.]+)s)", wait_text(duration_us))
    assert match
    ms, hours, minutes, seconds = match.groups()
    waited_us = int(ms or 0) * 1_000 + round(float(seconds or 0) * 10**6)
    waited_us += int(hours or 0) * 3_600 * SECOND_US + int(minutes or 0) * 60 * SECOND_US
    assert duration_us <= waited_us < duration_us + SECOND_US


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
    limit = error_of(response)["limit"]
    assert limit == {
        "name": name,
        "unit": "requests",
        "limit": number,
        "remaining": number,
        "needed": number,
    }
    for key, value in response.headers:
        assert re.fullmatch(r"[a-z-]+", key)
        assert re.fullmatch(r"[ -~]+", value)
