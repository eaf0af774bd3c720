"""Sends requests to one address over connections that are kept, closed at once, and bounded.

That is aiohttp, used directly: it gives everything that has arrived in one read, and speaks
HTTP/1.1 alone; over HTTP/2 leaving early would not reach the provider.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache, partial

import aiohttp
import httpx2
from multidict import CIMultiDict
from yarl import URL

from chatnest.adapters.providers.connections import Connections
from chatnest.adapters.providers.network_errors import unanswered
from chatnest.adapters.providers.outgoing_body import OutgoingBody
from chatnest.adapters.providers.proxies import environment_proxy
from chatnest.domain.errors import Failure, FailureKind, ProviderError

# aiohttp's own default; servers close idle connections after 5 to 75 seconds.
_KEEPALIVE_S = 15.0


class HttpSession:
    """Posts bodies to *url* with *headers*.

    Its connections are opened by the first request, in the event loop that then runs.

    Raises:
        ConfigurationError: the environment's proxy is none that can be used.
    """

    def __init__(self, url: URL, headers: Mapping[str, str], connections: Connections) -> None:
        self._url = url
        self._headers = CIMultiDict(headers)
        # Without keep-alive the server may close right after its answer, and a next call must not
        # meet that.
        self._headers["connection"] = "keep-alive" if connections.keep_alive else "close"
        self._connections = connections
        # Reading certificates takes time that a start-up has and an event loop has not.
        self._ssl = _ssl_context(connections) if url.scheme == "https" else True
        # Routes have few different limits; what is remembered of them has an end all the same.
        self._time_limits = lru_cache(maxsize=64)(partial(_time_limits, connections))
        self._proxy_url: URL | None = None
        self._proxy_headers: CIMultiDict[str] | None = None
        if connections.trust_env:
            self._take_proxy()
        # Headers of the session cost less to send than those of a request. But aiohttp shows them
        # to a proxy as well, and the key is among them.
        direct = self._proxy_url is None
        self._session_headers = self._headers if direct else None
        self._request_headers = None if direct else self._headers
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def post(self, content: bytes, connect_us: int | None) -> aiohttp.ClientResponse:
        """The beginning of the answer to *content*, whatever its status; close it when done.

        *connect_us* is how long a connection may be waited for, in microseconds; None leaves it
        to the session.

        Raises:
            ProviderError: there was no answer. It is the cause of a cancellation meanwhile.
        """
        session = self._opened()
        body = OutgoingBody(content)
        try:
            return await session.post(
                self._url,
                data=body,
                headers=self._request_headers,
                timeout=self._time_limits(connect_us),
                # The key is for this host alone.
                allow_redirects=False,
                proxy=self._proxy_url,
                proxy_headers=self._proxy_headers,
            )
        except asyncio.CancelledError as cancelled:
            # Who gives up a call is to know whether it can be billed.
            raise cancelled from unanswered(cancelled, was_sent=body.was_sent)
        except Exception as error:
            raise unanswered(error, was_sent=body.was_sent) from error

    async def aclose(self) -> None:
        """Close every connection, and open none any more. May be called twice."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._is_closed:
            failure = Failure(FailureKind.CONNECTION, billable=False)
            raise ProviderError("the provider was closed", failure)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._session_headers,
                response_class=_Response,
            )
        return self._session

    def _connector(self) -> aiohttp.TCPConnector:
        limit, ssl_context = self._connections.max_connections, self._ssl
        if not self._connections.keep_alive:
            return aiohttp.TCPConnector(limit=limit, ssl=ssl_context, force_close=True)
        return aiohttp.TCPConnector(limit=limit, ssl=ssl_context, keepalive_timeout=_KEEPALIVE_S)

    def _take_proxy(self) -> None:
        # Once: aiohttp itself would look into the environment, and into ~/.netrc, for each call.
        proxy = environment_proxy(self._url)
        if proxy is None:
            return
        self._proxy_url = proxy.url
        if proxy.authorization is not None:
            # A proxy sees the head of a plain request, and only that of the tunnel for https.
            is_tunnel = self._url.scheme == "https"
            seen = CIMultiDict[str]() if is_tunnel else self._headers
            seen["proxy-authorization"] = proxy.authorization
            self._proxy_headers = seen if is_tunnel else None


class _Response(aiohttp.ClientResponse):
    """A response whose connection is closed without ceremony."""

    def close(self) -> None:
        """Close the connection, unless it was given back already.

        Closing in order would first send what is left of the request, and over TLS wait for the
        server to say goodbye.
        """
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abort()
        super().close()


def _time_limits(connections: Connections, connect_us: int | None) -> aiohttp.ClientTimeout:
    connect_s = connections.connect_timeout_s if connect_us is None else connect_us / 1e6
    # A connection that somebody else has yet to give back counts as connecting.
    return aiohttp.ClientTimeout(
        total=None, connect=connect_s, sock_read=connections.read_timeout_s
    )


def _ssl_context(connections: Connections) -> ssl.SSLContext:
    """The SDK's own choice of certificates to trust."""
    context = httpx2.create_ssl_context(trust_env=connections.trust_env)
    context.set_alpn_protocols(["http/1.1"])
    return context
