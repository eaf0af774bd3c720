"""Retry against an own calculation, and as a whole loop under a clock of its own."""

from collections.abc import Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.journey import Journey
from chatnest.domain.retry import (
    Decision,
    GiveUp,
    Option,
    RetryPolicy,
    TryAgain,
    asked_us,
    classify,
    decide,
    failure_from_response,
    public_error,
)

US_PER_S = 1_000_000
PASSING = frozenset({"connection", "interrupted", "timeout", "rate_limited", "overloaded"}) | {
    "server_error"
}
ABOUT_ONE_PROVIDER = frozenset({"quota_exhausted", "authentication", "not_found"})
WORDS_OF_NEVER = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "invalid_api_key",
    "permission_error",
    "context_length_exceeded",
    "exceed_context_size_error",
    "content_filter",
    "content_policy_violation",
    "model_not_found",
)

kinds = st.sampled_from(FailureKind)
jitters = st.integers(0, 7).map(lambda eighths: eighths / 8)
waits_us = st.none() | st.integers(0, 12)
statuses = st.none() | st.integers(-1, 700)


@st.composite
def policies(draw: st.DrawFn) -> RetryPolicy:
    base_us = draw(st.integers(0, 4))
    return RetryPolicy(
        max_attempts=draw(st.integers(1, 4)),
        base_delay_us=base_us,
        max_delay_us=base_us + draw(st.integers(0, 8)),
        deadline_us=draw(st.integers(0, 24)),
    )


def failure_of(kind: FailureKind, wait_us: int | None) -> Failure:
    # A 64th of a microsecond short, so that rounding up gives the whole again.
    after_s = None if wait_us is None else max(0.0, (wait_us - 1 / 64) / US_PER_S)
    return Failure(kind, retry_after_s=after_s)


def expected_delay_us(attempt: int, jitter: float, wait_us: int | None, policy: RetryPolicy) -> int:
    ceiling = policy.base_delay_us
    for _ in range(attempt - 1):
        ceiling *= 2
    return max(int(Fraction(jitter) * min(ceiling, policy.max_delay_us)), wait_us or 0)


def judged(
    failure: Failure, options: Sequence[Option], attempt: int, elapsed_us: int, policy: RetryPolicy
) -> Decision:
    return decide(
        failure,
        options,
        streamed=False,
        attempt=attempt,
        elapsed_us=elapsed_us,
        jitter=0.5,
        policy=policy,
    )


options = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=3).map(
    lambda drawn: [Option(place, tries, wait) for place, (tries, wait) in enumerate(drawn)]
)


@given(kinds, options, st.booleans(), st.integers(1, 5), st.integers(0, 26), jitters, policies())
def test_every_decision_is_the_calculated_one(
    kind: FailureKind,
    options: list[Option],
    streamed: bool,
    attempt: int,
    elapsed_us: int,
    jitter: float,
    policy: RetryPolicy,
) -> None:
    outcome = decide(
        Failure(kind),
        options,
        streamed=streamed,
        attempt=attempt,
        elapsed_us=elapsed_us,
        jitter=jitter,
        policy=policy,
    )
    delays_us = {
        option.place: expected_delay_us(attempt, jitter, option.ready_in_us, policy)
        if option.tries
        else option.ready_in_us
        for option in options
    }
    may_go_on = kind in PASSING | ABOUT_ONE_PROVIDER
    is_open = not streamed and attempt < policy.max_attempts and may_go_on
    in_time = {place for place, us in delays_us.items() if elapsed_us + us <= policy.deadline_us}
    if not (is_open and in_time):
        assert isinstance(outcome, GiveUp)
        return
    assert isinstance(outcome, TryAgain)
    assert outcome.place in in_time
    assert outcome.delay_us == delays_us[outcome.place] == min(delays_us.values())
    rivals = [option for option in options if delays_us[option.place] == outcome.delay_us]
    chosen = options[outcome.place]
    assert chosen.tries == min(option.tries for option in rivals)
    assert all(chosen.place <= other.place for other in rivals if other.tries == chosen.tries)


attempts = st.tuples(kinds, waits_us, st.integers(0, 6))


@given(st.lists(attempts, min_size=5, max_size=5), policies(), st.integers(0, 2))
def test_a_whole_request_never_waits_past_its_deadline(
    script: list[tuple[FailureKind, int | None, int]], policy: RetryPolicy, others: int
) -> None:
    now_us = made = place = 0
    journey = Journey(1 + others)
    ready_us = [0] * (1 + others)
    for kind, wait_us, took_us in script:
        assert now_us <= policy.deadline_us
        made += 1
        now_us += took_us
        ready_us[place] = now_us + (wait_us or 0)
        failure = failure_of(kind, wait_us)
        journey.failed(place, failure)
        waits = [max(0, instant - now_us) for instant in ready_us]
        outcome = judged(failure, journey.options(waits), made, now_us, policy)
        if isinstance(outcome, GiveUp):
            break
        now_us += outcome.delay_us
        place = outcome.place
        assert ready_us[place] <= now_us <= policy.deadline_us
    assert made <= policy.max_attempts


@given(st.lists(kinds, max_size=6), st.integers(1, 3))
def test_a_target_is_out_for_a_request_unless_its_failure_passes(
    failures: list[FailureKind], places: int
) -> None:
    journey = Journey(places)
    for number, kind in enumerate(failures):
        journey.failed(number % places, Failure(kind))
    for place in range(places):
        became = failures[place::places]
        option = next((o for o in journey.options([7] * places) if o.place == place), None)
        if set(became) <= PASSING:
            assert option == Option(place, len(became), 7)
        else:
            assert option is None


@given(statuses, st.sampled_from(WORDS_OF_NEVER), st.booleans(), waits_us)
def test_what_must_not_be_retried_is_not_whatever_its_status(
    status: int | None, word: str, is_type: bool, wait_us: int | None
) -> None:
    code, error_type = (None, word) if is_type else (word, None)
    after_s = None if wait_us is None else wait_us / US_PER_S
    failure = failure_from_response(status or 0, code, after_s, error_type)
    patient = RetryPolicy(max_attempts=9, deadline_us=US_PER_S**2)
    journey = Journey(1)
    journey.failed(0, failure)
    assert isinstance(judged(failure, journey.options([0]), 1, 0, patient), GiveUp)
    assert not public_error(failure).retryable


@given(statuses, st.none() | st.text(), st.none() | st.text())
def test_anything_that_a_provider_may_say_is_classified(
    status: int | None, code: str | None, error_type: str | None
) -> None:
    kind = classify(status, code, error_type)
    if status is not None and 500 <= status <= 599:
        assert kind is not FailureKind.UNKNOWN
    assert public_error(Failure(kind)).message


@given(kinds, st.floats(), st.floats(0, 1, exclude_max=True), policies())
def test_no_retry_after_breaks_the_deadline(
    kind: FailureKind, retry_after_s: float, jitter: float, policy: RetryPolicy
) -> None:
    outcome = decide(
        Failure(kind, retry_after_s=retry_after_s),
        [Option(0, 1, asked_us(retry_after_s))],
        streamed=False,
        attempt=1,
        elapsed_us=0,
        jitter=jitter,
        policy=policy,
    )
    if isinstance(outcome, TryAgain):
        assert 0 <= outcome.delay_us <= policy.deadline_us
