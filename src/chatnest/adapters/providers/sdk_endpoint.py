"""What an SDK knows of one endpoint: address, headers, and the error of each error response.

The SDK is asked in its own words, by sending a request through it, but on a transport that sends
nothing. So it keeps everything that it knows, and none of its cost is paid for each call.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import httpx2
from yarl import URL

from chatnest.domain.errors import ConfigurationError

# What says something about one request alone, and what the connection writes by itself.
_NOT_KEPT = frozenset(
    {
        "content-length",
        "host",
        "idempotency-key",
        "x-stainless-read-timeout",
        "x-stainless-retry-count",
        "x-stainless-timeout",
    }
)
_SHORTEST_SECRET = 8
# What no longer holds for a body that was read, or would make the SDK's client act on it.
_NOT_REPLAYED = frozenset({b"content-encoding", b"content-length", b"location"})


class Sdk(Protocol):
    """What is used of an SDK's client."""

    def post(self, path: str, *, cast_to: type[httpx2.Response], content: bytes) -> httpx2.Response:
        """Send a request, and give its response or raise what it means."""


class SdkEndpoint:
    """The endpoint at *path* of the SDK's client that *make_sdk* makes around an HTTP client.

    *secret* is cut out of whatever the server repeats of it.

    Raises:
        ConfigurationError: the client's base URL is no address of a web server.
    """

    def __init__(self, make_sdk: Callable[[httpx2.Client], Sdk], path: str, *, secret: str) -> None:
        self._secret = secret.encode()
        self._path = path
        self._transport = _Replay()
        self._sdk = make_sdk(httpx2.Client(transport=self._transport, trust_env=False))
        request = self._request()
        self.url = URL(str(request.url), encoded=True).with_user(None)
        self._headers = {
            name: value for name, value in request.headers.items() if name not in _NOT_KEPT
        }
        # The SDK is asked in its synchronous form; these are the two that tell it from the other.
        if self._headers["user-agent"].startswith(f"{type(self._sdk).__name__}/"):
            self._headers["user-agent"] = f"Async{self._headers['user-agent']}"
        self._headers["x-stainless-async"] = "async:asyncio"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request, by their lower-case names; the key is one of them."""
        return self._headers

    def error(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Exception:
        """What the SDK raises for an error response."""
        kept = [(name, value) for name, value in headers if name.lower() not in _NOT_REPLAYED]
        self._transport.response = httpx2.Response(
            status, headers=kept, content=self._without_secret(body)
        )
        try:
            self._post()
        except Exception as error:
            return error
        raise AssertionError(f"the SDK takes status {status} for no error")

    def _without_secret(self, body: bytes) -> bytes:
        # Servers repeat the key that they refuse, and tracebacks end up in logs. A short one is a
        # placeholder, and part of other words.
        if len(self._secret) < _SHORTEST_SECRET:
            return body
        return body.replace(self._secret, "…".encode())

    def _request(self) -> httpx2.Request:
        try:
            self._post()
        except Exception as error:
            request = self._transport.request
            if request is None or request.url.scheme not in ("http", "https"):
                raise ConfigurationError(
                    "the base URL of a provider must begin with http:// or https://"
                ) from error
            return request
        raise AssertionError("a request that was not sent was answered")

    def _post(self) -> None:
        self._sdk.post(self._path, cast_to=httpx2.Response, content=b"{}")


class _Replay(httpx2.BaseTransport):
    """Sends nothing: keeps the first request, and answers every other with ``response``."""

    def __init__(self) -> None:
        self.request: httpx2.Request | None = None
        self.response: httpx2.Response | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.response is None:
            self.request = request
            raise httpx2.ConnectError("nothing is sent here")
        # The SDK's errors carry their request, and with it the key.
        request.headers.clear()
        return self.response
