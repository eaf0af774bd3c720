"""Sends requests to one address over connections that are kept, closed at once, and bounded.

aiohttp connects and keeps the connections. It speaks HTTP/1.1 alone; over HTTP/2 leaving early
would not reach the provider.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache, partial

import aiohttp
import httpx2
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from chatnest.adapters.providers.connections import Connections
from chatnest.adapters.providers.http_exchange import HttpExchange
from chatnest.adapters.providers.network_errors import unanswered
from chatnest.adapters.providers.proxies import Proxy, environment_proxy
from chatnest.adapters.providers.request_head import request_head
from chatnest.domain.errors import Failure, FailureKind, ProviderError

# aiohttp's own default; servers close idle connections after 5 to 75 seconds.
_KEEPALIVE_S = 15.0
# How many connections may turn out to be of no use before a request is given up.
_MOST_TRIES = 3


class HttpSession:
    """Posts bodies to *url* with *headers*.

    Its connections are opened by the first request, in the event loop that then runs.

    Raises:
        ConfigurationError: the environment's proxy is none that can be used, or a header cannot be
            sent.
    """

    def __init__(self, url: URL, headers: Mapping[str, str], connections: Connections) -> None:
        self._url = url
        self._connections = connections
        self._proxy = environment_proxy(url) if connections.trust_env else None
        # Without keep-alive the server may close right after its answer, and a next call must not
        # meet that.
        connection = "keep-alive" if connections.keep_alive else "close"
        self._head = request_head(url, {**headers, "connection": connection}, self._proxy)
        # Reading certificates takes time that a start-up has and an event loop has not.
        self._ssl = _ssl_context(connections) if url.scheme == "https" else True
        # Routes have few different limits; what is remembered of them has an end all the same.
        self._time_limits = lru_cache(maxsize=64)(partial(_time_limits, connections))
        self._pool: _Pool | None = None
        self._is_closed = False

    async def post(self, content: bytes, connect_us: int | None) -> HttpExchange:
        """The beginning of the answer to *content*, whatever its status; close it when done.

        *connect_us* is how long a connection may be waited for, in microseconds; None leaves it
        to the session.

        Raises:
            ProviderError: there was no answer. It is the cause of a cancellation meanwhile.
        """
        pool = self._opened()
        exchange: HttpExchange | None = None
        try:
            exchange = await pool.exchange(self._time_limits(connect_us))
            exchange.send(b"%b%d\r\n\r\n%b" % (self._head, len(content), content))
            await exchange.begun()
        except asyncio.CancelledError as cancelled:
            # Who gives up a call is to know whether it can be billed.
            raise cancelled from _given_up(exchange, cancelled)
        except Exception as error:
            raise _given_up(exchange, error) from error
        return exchange

    async def aclose(self) -> None:
        """Close every connection, and open none any more. May be called twice."""
        self._is_closed = True
        if self._pool is not None:
            await self._pool.connector.close()

    def _opened(self) -> "_Pool":
        if self._is_closed:
            failure = Failure(FailureKind.CONNECTION, billable=False)
            raise ProviderError("the provider was closed", failure)
        if self._pool is None:
            connector = _connector(self._connections, self._ssl)
            request = _key_of(self._url, self._proxy)
            self._pool = _Pool(connector, request, self._connections.read_timeout_s)
        return self._pool


class _Pool:
    """The connections of *connector* that *request* can have, which itself is never sent."""

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        request: aiohttp.ClientRequest,
        longest_silence_s: float,
    ) -> None:
        self.connector = connector
        self._request = request
        self._longest_silence_s = longest_silence_s

    async def exchange(self, limits: aiohttp.ClientTimeout) -> HttpExchange:
        """An exchange over a connection on which nothing was said so far."""
        for _ in range(_MOST_TRIES):
            connection = await self.connector.connect(self._request, [], limits)
            handler, transport = connection.protocol, connection.transport
            if handler is None or transport is None or _is_spent(handler, transport):
                connection.close()
            else:
                return HttpExchange(connection, handler, transport, self._longest_silence_s)
        raise ConnectionResetError("no connection lasted until the request")


def _is_spent(handler: ResponseHandler, transport: asyncio.Transport) -> bool:
    # What a server says without being asked must not become the answer to anything.
    return transport.is_closing() or handler.should_close


def _given_up(exchange: HttpExchange | None, error: BaseException) -> ProviderError:
    """What *error* means; an exchange sends at once, so without one nothing was sent."""
    if exchange is not None:
        exchange.close()
    return unanswered(error, was_sent=exchange is not None)


def _key_of(url: URL, proxy: Proxy | None) -> aiohttp.ClientRequest:
    """What aiohttp is to know of requests to connect for them: no header of theirs, and no key."""
    if proxy is None:
        return aiohttp.ClientRequest("POST", url)
    seen: CIMultiDict[str] | None = None
    if proxy.authorization is not None and url.scheme == "https":
        # For the tunnel. aiohttp finds connections by these headers, and sets the host among them
        # when it makes the first.
        seen = CIMultiDict({"proxy-authorization": proxy.authorization})
        seen["Host"] = url.host_port_subcomponent or ""
    return aiohttp.ClientRequest("POST", url, proxy=proxy.url, proxy_headers=seen)


def _connector(
    connections: Connections, ssl_context: ssl.SSLContext | bool
) -> aiohttp.TCPConnector:
    limit = connections.max_connections
    if not connections.keep_alive:
        return aiohttp.TCPConnector(limit=limit, ssl=ssl_context, force_close=True)
    return aiohttp.TCPConnector(limit=limit, ssl=ssl_context, keepalive_timeout=_KEEPALIVE_S)


def _time_limits(connections: Connections, connect_us: int | None) -> aiohttp.ClientTimeout:
    connect_s = connections.connect_timeout_s if connect_us is None else connect_us / 1e6
    # A connection that somebody else has yet to give back counts as connecting.
    return aiohttp.ClientTimeout(total=None, connect=connect_s)


def _ssl_context(connections: Connections) -> ssl.SSLContext:
    """The SDK's own choice of certificates to trust."""
    context = httpx2.create_ssl_context(trust_env=connections.trust_env)
    context.set_alpn_protocols(["http/1.1"])
    return context
