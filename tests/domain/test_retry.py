"""What a failure is taken for, what is done about it, and what a client is told."""

import math
import re

import pytest

from chatnest.domain.errors import Failure, FailureKind, PublicError
from chatnest.domain.retry import (
    RETRY_TABLE,
    Decision,
    GiveUp,
    GiveUpReason,
    Option,
    RetryPolicy,
    TryAgain,
    Verdict,
    asked_us,
    classify,
    decide,
    failure_from_response,
    public_error,
)

POLICY = RetryPolicy(max_attempts=5, base_delay_us=100, max_delay_us=400, deadline_us=1_000)
NOT_RETRYABLE = GiveUp(GiveUpReason.NOT_RETRYABLE)


def decision(
    kind: FailureKind = FailureKind.OVERLOADED,
    *,
    retry_after_s: float | None = None,
    streamed: bool = False,
    attempt: int = 1,
    elapsed_us: int = 0,
    jitter: float = 0.5,
    other_targets: bool = False,
) -> Decision:
    """After a failure of the target at place 0; the *other* one is at place 1, and untried."""
    here = Option(0, attempt, asked_us(retry_after_s))
    stays = RETRY_TABLE[kind] is Verdict.RETRY
    return decide(
        Failure(kind, retry_after_s=retry_after_s),
        [*([here] if stays else []), *([Option(1)] if other_targets else [])],
        streamed=streamed,
        attempt=attempt,
        elapsed_us=elapsed_us,
        jitter=jitter,
        policy=POLICY,
    )


def here(delay_us: int) -> TryAgain:
    return TryAgain(0, delay_us)


ELSEWHERE = TryAgain(1, 0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FailureKind.INVALID_REQUEST),
        (401, FailureKind.AUTHENTICATION),
        (402, FailureKind.QUOTA_EXHAUSTED),
        (403, FailureKind.AUTHENTICATION),
        (404, FailureKind.NOT_FOUND),
        (408, FailureKind.TIMEOUT),
        (409, FailureKind.UNKNOWN),
        (413, FailureKind.CONTEXT_LENGTH),
        (422, FailureKind.INVALID_REQUEST),
        (429, FailureKind.RATE_LIMITED),
        (499, FailureKind.UNKNOWN),
        (500, FailureKind.SERVER_ERROR),
        (502, FailureKind.SERVER_ERROR),
        (503, FailureKind.OVERLOADED),
        (504, FailureKind.TIMEOUT),
        (520, FailureKind.SERVER_ERROR),
        (524, FailureKind.TIMEOUT),
        (529, FailureKind.OVERLOADED),
        (599, FailureKind.SERVER_ERROR),
        (600, FailureKind.UNKNOWN),
        (302, FailureKind.UNKNOWN),
        (200, FailureKind.UNKNOWN),
        (None, FailureKind.UNKNOWN),
    ],
)
def test_a_status_has_one_meaning(status: int | None, kind: FailureKind) -> None:
    assert classify(status) is kind
    assert classify(status, "a_word_that_nobody_knows") is kind


@pytest.mark.parametrize(
    ("status", "code", "error_type", "kind"),
    [
        # OpenAI
        (429, "insufficient_quota", "insufficient_quota", FailureKind.QUOTA_EXHAUSTED),
        (429, "credit_balance_exhausted", "insufficient_quota", FailureKind.QUOTA_EXHAUSTED),
        (429, "a_code_of_next_year", "insufficient_quota", FailureKind.QUOTA_EXHAUSTED),
        (429, "rate_limit_exceeded", "tokens", FailureKind.RATE_LIMITED),
        (429, "slow_down", "rate_limit_error", FailureKind.RATE_LIMITED),
        (400, "billing_hard_limit_reached", None, FailureKind.QUOTA_EXHAUSTED),
        (400, "context_length_exceeded", "invalid_request_error", FailureKind.CONTEXT_LENGTH),
        (400, "content_policy_violation", "invalid_request_error", FailureKind.CONTENT_FILTER),
        (400, "content_filter", None, FailureKind.CONTENT_FILTER),
        (401, "invalid_api_key", "invalid_request_error", FailureKind.AUTHENTICATION),
        (401, None, "invalid_request_error", FailureKind.AUTHENTICATION),
        (404, "model_not_found", "invalid_request_error", FailureKind.NOT_FOUND),
        (503, "server_is_overloaded", "service_unavailable_error", FailureKind.OVERLOADED),
        (200, None, "server_error", FailureKind.SERVER_ERROR),
        # Anthropic
        (400, None, "invalid_request_error", FailureKind.INVALID_REQUEST),
        (402, None, "billing_error", FailureKind.QUOTA_EXHAUSTED),
        (403, None, "permission_error", FailureKind.AUTHENTICATION),
        (429, None, "rate_limit_error", FailureKind.RATE_LIMITED),
        (429, "enforced_spend_limit_reached", "rate_limit_error", FailureKind.QUOTA_EXHAUSTED),
        (500, None, "api_error", FailureKind.SERVER_ERROR),
        (504, None, "timeout_error", FailureKind.TIMEOUT),
        (529, None, "overloaded_error", FailureKind.OVERLOADED),
        (200, None, "overloaded_error", FailureKind.OVERLOADED),
        (200, None, "invalid_request_error", FailureKind.INVALID_REQUEST),
        # llama.cpp
        (400, "400", "exceed_context_size_error", FailureKind.CONTEXT_LENGTH),
        (501, "501", "not_supported_error", FailureKind.INVALID_REQUEST),
        (503, "503", "unavailable_error", FailureKind.OVERLOADED),
        (200, "500", "server_error", FailureKind.SERVER_ERROR),
        # OpenRouter, inside a stream
        (200, "429", None, FailureKind.RATE_LIMITED),
        (200, "9" * 5_000, None, FailureKind.UNKNOWN),
    ],
)
def test_the_providers_words_say_more_than_the_status(
    status: int, code: str | None, error_type: str | None, kind: FailureKind
) -> None:
    assert classify(status, code, error_type) is kind


@pytest.mark.parametrize("status", [400, 401, 402, 429, 500, 502, 503, 529])
def test_an_error_response_proves_that_nothing_was_billed(status: int) -> None:
    failure = failure_from_response(status, None, 2.5)
    assert failure == Failure(classify(status), status, None, 2.5, billable=False)


@pytest.mark.parametrize(
    ("status", "code"),
    [(408, None), (504, None), (524, None), (504, "server_is_overloaded"), (500, "timeout_error")],
)
def test_where_somebody_gave_up_waiting_the_work_may_be_billed(
    status: int, code: str | None
) -> None:
    assert failure_from_response(status, code).billable


def test_a_failure_keeps_the_providers_most_specific_word() -> None:
    assert failure_from_response(429, "slow_down", None, "rate_limit_error").code == "slow_down"
    assert failure_from_response(529, error_type="overloaded_error").code == "overloaded_error"


def test_every_kind_has_a_verdict() -> None:
    assert set(RETRY_TABLE) == set(FailureKind)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (FailureKind.CONNECTION, Verdict.RETRY),
        (FailureKind.INTERRUPTED, Verdict.RETRY),
        (FailureKind.TIMEOUT, Verdict.RETRY),
        (FailureKind.RATE_LIMITED, Verdict.RETRY),
        (FailureKind.OVERLOADED, Verdict.RETRY),
        (FailureKind.SERVER_ERROR, Verdict.RETRY),
        (FailureKind.QUOTA_EXHAUSTED, Verdict.FAIL_OVER),
        (FailureKind.AUTHENTICATION, Verdict.FAIL_OVER),
        (FailureKind.NOT_FOUND, Verdict.FAIL_OVER),
        (FailureKind.INVALID_REQUEST, Verdict.GIVE_UP),
        (FailureKind.CONTENT_FILTER, Verdict.GIVE_UP),
        (FailureKind.CONTEXT_LENGTH, Verdict.GIVE_UP),
        (FailureKind.MALFORMED, Verdict.GIVE_UP),
        (FailureKind.UNKNOWN, Verdict.GIVE_UP),
    ],
)
def test_the_verdict_is_what_is_done(kind: FailureKind, verdict: Verdict) -> None:
    alone = {
        Verdict.RETRY: here(50),
        Verdict.FAIL_OVER: NOT_RETRYABLE,
        Verdict.GIVE_UP: NOT_RETRYABLE,
    }
    beside_others = {
        Verdict.RETRY: ELSEWHERE,
        Verdict.FAIL_OVER: ELSEWHERE,
        Verdict.GIVE_UP: NOT_RETRYABLE,
    }
    assert decision(kind) == alone[verdict]
    assert decision(kind, other_targets=True) == beside_others[verdict]


def test_nothing_is_tried_again_after_the_first_delta() -> None:
    for kind in FailureKind:
        refused = decision(kind, streamed=True, other_targets=True)
        assert refused == GiveUp(GiveUpReason.STREAMED)


def test_the_delay_doubles_up_to_its_maximum() -> None:
    delays = [decision(attempt=attempt) for attempt in (1, 2, 3, 4)]
    assert delays == [here(50), here(100), here(200), here(200)]


def test_jitter_spreads_the_delay_from_nothing_to_all_of_it() -> None:
    assert decision(jitter=0.0) == here(0)
    assert decision(jitter=0.99) == here(99)


def test_a_delay_of_many_attempts_is_still_a_number() -> None:
    patient = RetryPolicy(max_attempts=10**9, base_delay_us=1, max_delay_us=7, deadline_us=7)
    outcome = decide(
        Failure(FailureKind.TIMEOUT),
        [Option(0, 1)],
        streamed=False,
        attempt=10**9 - 1,
        elapsed_us=0,
        jitter=1.0,
        policy=patient,
    )
    assert outcome == here(7)


def test_retry_after_is_a_floor_and_not_a_ceiling() -> None:
    assert decision(retry_after_s=0.0009) == here(900)
    assert decision(retry_after_s=0.00001) == here(50)


def test_retry_after_is_rounded_up() -> None:
    assert decision(jitter=0.0, retry_after_s=1e-7) == here(1)


@pytest.mark.parametrize("retry_after_s", [-1.0, -math.inf, math.nan, 0.0])
def test_a_retry_after_that_makes_no_sense_asks_for_nothing(retry_after_s: float) -> None:
    assert decision(retry_after_s=retry_after_s) == here(50)


@pytest.mark.parametrize("retry_after_s", [0.0011, 1e308, math.inf])
def test_a_wait_past_the_deadline_is_not_begun(retry_after_s: float) -> None:
    assert decision(retry_after_s=retry_after_s) == GiveUp(GiveUpReason.DEADLINE)


def test_the_deadline_itself_may_be_reached() -> None:
    assert decision(elapsed_us=950) == here(50)
    assert decision(elapsed_us=951) == GiveUp(GiveUpReason.DEADLINE)


def after_timeout(*options: Option, jitter: float = 0.5) -> Decision:
    return decide(
        Failure(FailureKind.TIMEOUT),
        options,
        streamed=False,
        attempt=1,
        elapsed_us=0,
        jitter=jitter,
        policy=POLICY,
    )


def test_the_preferred_of_the_untried_targets_comes_first() -> None:
    assert after_timeout(Option(0, 1), Option(1), Option(2)) == TryAgain(1, 0)


def test_a_target_that_wants_to_be_left_alone_comes_when_it_is_ready() -> None:
    assert after_timeout(Option(0, 1), Option(1, 0, 60)) == here(50)
    assert after_timeout(Option(0, 1), Option(1, 0, 49)) == TryAgain(1, 49)
    assert after_timeout(Option(0, 1, 70), Option(1, 1, 60)) == TryAgain(1, 60)


def test_of_two_that_are_equally_soon_the_less_tried_one_is_called() -> None:
    assert after_timeout(Option(0, 2), Option(1, 1)) == TryAgain(1, 50)
    assert after_timeout(Option(0, 1), Option(1), jitter=0.0) == TryAgain(1, 0)
    assert after_timeout(Option(0, 1), Option(1, 1)) == here(50)


def test_another_target_is_not_tried_after_the_deadline() -> None:
    for kind in (FailureKind.OVERLOADED, FailureKind.AUTHENTICATION):
        assert decision(kind, elapsed_us=1_000, other_targets=True) == ELSEWHERE
        late = decision(kind, elapsed_us=1_001, other_targets=True)
        assert late == GiveUp(GiveUpReason.DEADLINE)


def test_attempts_end() -> None:
    assert decision(attempt=4) == here(200)
    for kind in (FailureKind.OVERLOADED, FailureKind.AUTHENTICATION):
        assert decision(kind, attempt=5, other_targets=True) == GiveUp(GiveUpReason.ATTEMPTS)


@pytest.mark.parametrize(
    "numbers",
    [
        {"max_attempts": 0},
        {"base_delay_us": -1},
        {"base_delay_us": 10, "max_delay_us": 9},
        {"deadline_us": -1},
    ],
)
def test_a_policy_that_cannot_work_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(numbers))):
        RetryPolicy(**numbers)


def test_the_smallest_policy_tries_once() -> None:
    once = RetryPolicy(max_attempts=1, base_delay_us=0, max_delay_us=0, deadline_us=0)
    outcome = decide(
        Failure(FailureKind.TIMEOUT),
        [Option(0, 1)],
        streamed=False,
        attempt=1,
        elapsed_us=0,
        jitter=0.0,
        policy=once,
    )
    assert outcome == GiveUp(GiveUpReason.ATTEMPTS)


def test_every_kind_has_a_public_code_of_its_own_and_a_sentence() -> None:
    errors = [public_error(Failure(kind)) for kind in FailureKind]
    assert len({error.code for error in errors}) == len(FailureKind)
    for error in errors:
        assert re.fullmatch(r"provider_[a-z_]+", error.code)
        assert re.fullmatch(r"[A-Z][A-Za-z' ]+\.", error.message)


def test_a_client_is_told_to_try_again_exactly_where_waiting_helps() -> None:
    retryable = {kind for kind in FailureKind if public_error(Failure(kind)).retryable}
    assert retryable == {
        FailureKind.CONNECTION,
        FailureKind.INTERRUPTED,
        FailureKind.TIMEOUT,
        FailureKind.RATE_LIMITED,
        FailureKind.OVERLOADED,
        FailureKind.SERVER_ERROR,
    }


def test_the_providers_own_words_stay_here() -> None:
    for kind in FailureKind:
        talkative = Failure(kind, 401, "key sk-secret of /etc/passwd", 3.0)
        assert public_error(talkative) == public_error(Failure(kind))


def test_refused_credentials_are_the_operators_trouble() -> None:
    assert public_error(failure_from_response(401, "invalid_api_key")) == PublicError(
        "provider_authentication", "The model provider refused this server's credentials."
    )
