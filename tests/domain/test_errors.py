"""The error tree, and what its messages say."""

import re

import pytest

from chatnest.domain import errors
from chatnest.domain.errors import (
    BusyError,
    ChatNestError,
    ConfigurationError,
    Failure,
    FailureKind,
    IllegalEventError,
    InvalidRequestError,
    ProviderError,
    StoreUnavailableError,
)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value is not ChatNestError
    }
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == raised


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("x"),
        InvalidRequestError("x"),
        StoreUnavailableError("x"),
        BusyError("x"),
        IllegalEventError("x"),
        ProviderError("x", Failure(FailureKind.TIMEOUT)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_one_except_clause_catches_them_all(error: Exception) -> None:
    assert isinstance(error, ChatNestError)
    assert str(error) == "x"


def test_an_invalid_request_names_its_field() -> None:
    error = InvalidRequestError("must be a string", field="messages[2].role")
    assert str(error) == "messages[2].role: must be a string"
    assert (error.reason, error.field) == ("must be a string", "messages[2].role")


def test_a_body_that_is_wrong_as_a_whole_has_no_field() -> None:
    assert InvalidRequestError("is not JSON").field is None


def test_a_provider_error_carries_its_failure_but_does_not_show_it() -> None:
    failure = Failure(FailureKind.RATE_LIMITED, 429, "secret-code", retry_after_s=2.0)
    error = ProviderError("the provider is busy", failure)
    assert error.failure is failure
    assert str(error) == "the provider is busy"


def test_a_failure_is_billable_unless_somebody_knows_better() -> None:
    assert Failure(FailureKind.UNKNOWN).billable
