"""Before the stream, the AI SDK shows the body as it is: it is a sentence, with the status."""

import pytest

from chatnest.adapters.transport.ai_sdk import AiSdkDialect
from chatnest.domain.errors import (
    BusyError,
    Failure,
    FailureKind,
    InvalidRequestError,
    ProviderError,
    PublicError,
    StoreUnavailableError,
)
from tests.adapters.transport.examples import NOW, SECOND_US, exhausted, rate_limited

DIALECT = AiSdkDialect()


def test_a_refusal_is_a_sentence_and_the_rest_is_in_the_headers() -> None:
    response = DIALECT.refusal(exhausted("tokens-day", 21_600 * SECOND_US), NOW)
    assert (response.status, response.body) == (
        429,
        b"Daily AI budget exceeded. Try again tomorrow.",
    )
    assert response.headers == (
        ("content-type", "text/plain; charset=utf-8"),
        ("x-should-retry", "false"),
        ("retry-after", "21600"),
        ("ratelimit-policy", '"tokens-day";q=70000;w=86400'),
        ("ratelimit", '"tokens-day";r=12;t=21600'),
    )


def test_a_refusal_that_passes_says_when() -> None:
    response = DIALECT.refusal(rate_limited(1_500_000), NOW)
    assert response.body == b"Rate limit exceeded. Please slow down."
    assert dict(response.headers)["retry-after"] == "2"


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (
            InvalidRequestError("must be a text", field="messages[1].parts"),
            400,
            "Invalid messages payload: messages[1].parts must be a text",
        ),
        (InvalidRequestError("the body is empty"), 400, "Invalid messages payload: the body is"),
        (
            PublicError("unauthenticated", "No key."),
            401,
            "Not authenticated. Please send a valid key. No key.",
        ),
        (StoreUnavailableError("secret"), 503, "AI request failed: Spending cannot be checked"),
        (BusyError("secret"), 503, "AI request failed: This server takes no new chats"),
        (ProviderError("secret", Failure(FailureKind.TIMEOUT)), 504, "AI request failed: "),
        (RuntimeError("secret"), 500, "AI request failed: The server failed."),
    ],
)
def test_an_error_is_a_sentence_with_its_reason(
    error: Exception | PublicError, status: int, sentence: str
) -> None:
    response = DIALECT.error(error)
    assert response.status == status
    assert response.body.decode().startswith(sentence)
    assert b"secret" not in response.body
