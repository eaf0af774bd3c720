"""What the openai SDK raises, translated once into the domain's terms.

Importing this module imports the SDK.
"""

import math
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

import aiohttp
import httpx2
import openai

from chatnest.adapters.providers.openai_stream import error_words
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.retry import classify, failure_from_response

# What aiohttp raises before it has a connection to write to. The SDK's classes cannot tell: its
# transport reports a server that hung up, after it had the request, as a connect timeout too.
_NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
# A request goes out in one write, and this is what that write says of a kept connection which the
# server has closed meanwhile. Other writes to a lost connection say other things.
_NOT_WRITTEN = "Cannot write to closing transport"


def provider_error(error: Exception) -> ProviderError:
    """What *error*, raised by the SDK instead of a response, means."""
    failure = failure_of(error)
    if failure.status is not None:
        code = "" if failure.code is None else f" ({failure.code})"
        return ProviderError(f"answered with status {failure.status}{code}", failure)
    sent = "no answer came" if failure.billable else "the request was not sent"
    return ProviderError(f"{failure.kind}: {sent}", failure)


def stream_error(error: Exception) -> ProviderError:
    """What *error*, raised while the body of a response was read, means."""
    if isinstance(error, httpx2.ReadTimeout):
        return ProviderError("the stream stalled", Failure(FailureKind.TIMEOUT))
    return ProviderError("the connection broke", Failure(FailureKind.INTERRUPTED))


def failure_of(error: Exception) -> Failure:
    """The failure behind an exception of the SDK; ``unknown`` for one that a call never raises.

    ``billable`` is False only where nothing can have left for the provider, or its response says
    that it refused the work.
    """
    match error:
        case openai.APIStatusError():
            code, error_type = error_words(error.body)
            wait_s = retry_after_s(error.response.headers)
            return failure_from_response(error.status_code, code, wait_s, error_type)
        case openai.APIResponseValidationError():
            return Failure(FailureKind.MALFORMED, error.status_code)
        case openai.APIConnectionError():
            return _connection_failure(error)
        case openai.APIError():
            code, error_type = error_words(error.body)
            return Failure(classify(None, code, error_type), code=code or error_type)
        case _:
            return Failure(FailureKind.UNKNOWN)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long a response asks to wait; None where it does not say so, or not clearly.

    Milliseconds are believed before seconds, and a date counts from the response's own date.
    """
    wait_ms = _seconds(headers.get("retry-after-ms"))
    if wait_ms is not None:
        return wait_ms / 1_000
    wait = headers.get("retry-after")
    wait_s = _seconds(wait)
    return _seconds_between(headers.get("date"), wait) if wait_s is None else wait_s


def _connection_failure(error: openai.APIConnectionError) -> Failure:
    causes = list(_chain(error))
    billable = not any(_is_before_sending(cause) for cause in causes)
    if any(isinstance(cause, aiohttp.ClientError) for cause in causes):
        is_timeout = any(isinstance(cause, TimeoutError) for cause in causes)
    else:
        is_timeout = isinstance(error, openai.APITimeoutError)
    kind = FailureKind.TIMEOUT if is_timeout else FailureKind.CONNECTION
    return Failure(kind, billable=billable)


def _is_before_sending(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ClientConnectionResetError):
        return str(error) == _NOT_WRITTEN
    return isinstance(error, _NEVER_CONNECTED)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_between(start: str | None, end: str | None) -> float | None:
    try:
        moments = [parsedate_to_datetime(moment or "") for moment in (start, end)]
        return max(0.0, (moments[1] - moments[0]).total_seconds())
    except (TypeError, ValueError):
        # No date, or one without a zone beside one with it.
        return None
