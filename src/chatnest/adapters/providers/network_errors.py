"""What connections and exchanges raise, translated once into the domain's terms."""

from collections.abc import Iterator

import aiohttp
from httptools import HttpParserError
from multidict import CIMultiDict, CIMultiDictProxy

from chatnest.domain.errors import Failure, FailureKind, ProviderError

_NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


def unanswered(error: BaseException, *, was_sent: bool) -> ProviderError:
    """What *error*, raised instead of a response, means.

    *was_sent* is whether any of the request left: what did not cannot be billed.
    """
    if isinstance(error, aiohttp.ClientResponseError):
        _take_headers_off(error)
    failure = Failure(_kind_of(error, was_sent), billable=was_sent)
    return ProviderError(
        f"{failure.kind}: {'no answer came' if was_sent else 'the request was not sent'}", failure
    )


def broken(error: Exception) -> ProviderError:
    """What *error*, raised while the body of a response was read, means."""
    if isinstance(error, TimeoutError):
        return ProviderError("the stream stalled", Failure(FailureKind.TIMEOUT))
    return ProviderError("the connection broke", Failure(FailureKind.INTERRUPTED))


def _kind_of(error: BaseException, was_sent: bool) -> FailureKind:
    if any(isinstance(cause, TimeoutError) for cause in _chain(error)):
        return FailureKind.TIMEOUT
    if was_sent and isinstance(error, HttpParserError | aiohttp.ClientResponseError):
        # The answer is not HTTP.
        return FailureKind.MALFORMED
    return FailureKind.CONNECTION


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _take_headers_off(error: aiohttp.ClientResponseError) -> None:
    # The error shows the whole request, key included, to whoever writes it into a log.
    error.request_info = error.request_info._replace(headers=_NO_HEADERS)
    error.args = (error.request_info, error.history)
