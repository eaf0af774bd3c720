"""What aiohttp raises is one failure in the domain's terms."""

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from chatnest.adapters.providers.network_errors import broken, unanswered
from chatnest.domain.errors import Failure, FailureKind

KEY = "sk-secret"
URL_ASKED = URL("http://provider.test/")
HEADERS = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {KEY}"}))
REQUEST = aiohttp.RequestInfo(URL_ASKED, "POST", HEADERS, URL_ASKED)
HOST = ConnectionKey("provider.test", 80, False, True, None, None, None)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "kind_when_sent"),
    [
        (
            aiohttp.ClientConnectorError(HOST, ConnectionRefusedError()),
            "connection",
            "connection",
        ),
        (aiohttp.ClientConnectorDNSError(HOST, OSError()), "connection", "connection"),
        (
            caused(aiohttp.ClientConnectorError(HOST, TimeoutError()), TimeoutError()),
            "timeout",
            "timeout",
        ),
        (aiohttp.ConnectionTimeoutError(), "timeout", "timeout"),
        (aiohttp.SocketTimeoutError(), "timeout", "timeout"),
        (aiohttp.ServerDisconnectedError(), "connection", "connection"),
        (aiohttp.ClientOSError(104, "reset"), "connection", "connection"),
        (aiohttp.ClientConnectionResetError("lost"), "connection", "connection"),
        (aiohttp.ClientHttpProxyError(REQUEST, (), status=407), "connection", "malformed"),
        (aiohttp.ClientResponseError(REQUEST, (), status=400), "connection", "malformed"),
        (RuntimeError("Session is closed"), "connection", "connection"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_only_what_left_can_be_billed(error: Exception, kind: str, kind_when_sent: str) -> None:
    sent = unanswered(error, was_sent=True)
    assert sent.failure == Failure(FailureKind(kind_when_sent), billable=True)
    not_sent = unanswered(error, was_sent=False)
    assert not_sent.failure == Failure(FailureKind(kind), billable=False)


def test_a_broken_stream_was_interrupted_or_stalled() -> None:
    assert broken(aiohttp.SocketTimeoutError()).failure == Failure(FailureKind.TIMEOUT)
    for error in (aiohttp.ClientPayloadError("m"), aiohttp.ClientOSError(), RuntimeError("m")):
        assert broken(error).failure == Failure(FailureKind.INTERRUPTED)


def test_messages_say_what_happened_and_nothing_of_the_request() -> None:
    refused = aiohttp.ClientConnectorError(HOST, OSError("my secret"))
    assert str(unanswered(refused, was_sent=False)) == "connection: the request was not sent"
    assert str(unanswered(refused, was_sent=True)) == "connection: no answer came"


def test_an_error_that_shows_the_request_loses_its_headers() -> None:
    error = aiohttp.ClientResponseError(REQUEST, (), status=400, message="m")
    assert KEY in repr(error)
    unanswered(error, was_sent=True)
    assert KEY not in f"{error!r}{error.args}{error.request_info}"
    assert str(error) == "400, message='m', url='http://provider.test/'"
