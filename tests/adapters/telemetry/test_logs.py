import logging
from dataclasses import replace
from typing import Any

import pytest

from chatnest.adapters.telemetry import LogObserver, NullObserver
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import FinishReason
from chatnest.domain.ports import CallReport, Observer
from chatnest.domain.usage import TokenUsage

REPORT = CallReport(
    request_id="r1",
    attempt=1,
    principal="key:alice",
    profile="balanced",
    provider="openai",
    model="gpt-4o-mini",
    usage=TokenUsage(input_tokens=12, output_tokens=5, cached_input_tokens=4),
    cost_nano_usd=4_800,
    estimated=False,
    overrun=True,
    finish_reason=FinishReason.STOP,
    failure=None,
    duration_us=900_000,
    time_to_first_token_us=120_000,
)


def the_record(caplog: pytest.LogCaptureFixture) -> Any:
    (record,) = caplog.records
    return record


@pytest.fixture
def observer(caplog: pytest.LogCaptureFixture) -> LogObserver:
    caplog.set_level(logging.DEBUG, "chatnest.calls")
    return LogObserver()


def test_both_observers_fit_the_port() -> None:
    observers: list[Observer] = [LogObserver(), NullObserver()]
    for observer in observers:
        observer.call_ended(REPORT)
        observer.refused("key:alice", "balanced", "rate_limited")
        observer.settlement_failed("r1.1")
        observer.settlement_abandoned("r1.1")


def test_a_call_is_one_line_of_fields(
    observer: LogObserver, caplog: pytest.LogCaptureFixture
) -> None:
    observer.call_ended(REPORT)
    record = the_record(caplog)
    assert record.name == "chatnest.calls"
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        "call_ended request_id=r1 attempt=1 principal=key:alice profile=balanced provider=openai "
        "model=gpt-4o-mini finish_reason=stop input_tokens=12 output_tokens=5 "
        "cached_input_tokens=4 reasoning_tokens=0 cost_nano_usd=4800 estimated=false overrun=true "
        "duration_us=900000 time_to_first_token_us=120000"
    )


def test_the_same_fields_are_on_the_record_for_other_formats(
    observer: LogObserver, caplog: pytest.LogCaptureFixture
) -> None:
    observer.call_ended(REPORT)
    fields = the_record(caplog).chatnest
    assert fields["event"] == "call_ended"
    assert (fields["input_tokens"], fields["output_tokens"]) == (12, 5)
    assert fields["overrun"] is True


def test_what_is_not_known_is_left_out_and_zero_is_not(
    observer: LogObserver, caplog: pytest.LogCaptureFixture
) -> None:
    observer.call_ended(replace(REPORT, usage=None, cost_nano_usd=0, time_to_first_token_us=None))
    fields = the_record(caplog).chatnest
    assert fields["cost_nano_usd"] == 0
    assert not {"input_tokens", "failure", "time_to_first_token_us"} & set(fields)


def test_a_failed_call_is_a_warning_that_names_the_failure(
    observer: LogObserver, caplog: pytest.LogCaptureFixture
) -> None:
    failure = Failure(FailureKind.RATE_LIMITED, status=429, code="slow_down")
    observer.call_ended(replace(REPORT, failure=failure, finish_reason=FinishReason.ERROR))
    record = the_record(caplog)
    assert record.levelno == logging.WARNING
    assert "finish_reason=error failure=rate_limited status=429 code=slow_down" in record.message


@pytest.mark.parametrize("principal", ["user:a b", "user:a\nfake request_id=r2", "user:é", "a=b"])
def test_a_value_can_neither_end_the_line_nor_add_a_field(
    observer: LogObserver, caplog: pytest.LogCaptureFixture, principal: str
) -> None:
    observer.refused(principal, "balanced", "rate_limited")
    message = the_record(caplog).getMessage()
    assert "\n" not in message
    assert message.startswith('refused principal="')
    assert message.endswith('" profile=balanced code=rate_limited')


def test_a_settlement_that_waits_is_a_warning(
    observer: LogObserver, caplog: pytest.LogCaptureFixture
) -> None:
    observer.settlement_failed("r1.1")
    record = the_record(caplog)
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "settlement_failed hold_id=r1.1"


def test_a_settlement_that_is_given_up_is_an_error(
    observer: LogObserver, caplog: pytest.LogCaptureFixture
) -> None:
    observer.settlement_abandoned("r1.1")
    record = the_record(caplog)
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "settlement_abandoned hold_id=r1.1"


def test_a_level_that_is_off_writes_nothing(
    observer: LogObserver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "chatnest.calls")
    observer.call_ended(REPORT)
    observer.refused("key:alice", "balanced", "rate_limited")
    assert not caplog.records
