"""One request and its answer over a connection of aiohttp's, spoken by an asyncio protocol.

aiohttp's own protocol for it makes several objects for each request and several calls for each
chunk, which cost more than everything else that a token passes through.
"""

import asyncio
from collections.abc import Callable

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from httptools import HttpParserError, HttpResponseParser

_SWITCHING_PROTOCOLS = 101
_BLANK = b" \t"
# What may have come since somebody last took a piece of the body: beyond it the server is made to
# wait, and where it was not the body that came, it never ends.
_MOST_UNTAKEN_BYTES = 64 * 1024


class HttpExchange(asyncio.Protocol):
    """Has *connection* until the answer has come, or until it is closed.

    *handler* and *transport* are the connection's. The server may be silent for
    *longest_silence_s* seconds. ``status`` is 0 until the answer begins, and ``headers`` are the
    answer's then, by their lower-case names.
    """

    __slots__ = (
        "_arrival",
        "_connection",
        "_failure",
        "_handler",
        "_heard_at",
        "_is_paused",
        "_is_reusable",
        "_is_whole",
        "_longest_silence_s",
        "_loop",
        "_now",
        "_parser",
        "_pieces",
        "_timer",
        "_transport",
        "_untaken_bytes",
        "headers",
        "on_body",
        "status",
    )

    def __init__(
        self,
        connection: Connection,
        handler: ResponseHandler,
        transport: asyncio.Transport,
        longest_silence_s: float,
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._connection: Connection | None = connection
        self._handler = handler
        self._transport = transport
        self._failure: Exception | None = None
        self._is_whole = self._is_reusable = self._is_paused = False
        self._untaken_bytes = 0
        self._arrival: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        # As often as a burst has tokens, so it is no function of Python's.
        self.on_body: Callable[[bytes], None] = self._pieces.append
        self._parser = HttpResponseParser(self)
        # What aiohttp's parser forgives too: there are such servers, and none of it is ambiguous
        # to the one who asked.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._longest_silence_s = longest_silence_s
        self._heard_at = self._now()
        self._timer = self._loop.call_later(longest_silence_s, self._look)
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether the connection is still this exchange's."""
        return self._connection is not None

    def send(self, request: bytes) -> None:
        """Send all of *request*; what the network does not take at once is kept for it."""
        self._transport.write(request)

    async def begun(self) -> None:
        """Wait for the head of the answer.

        Raises:
            TimeoutError: the server was silent for too long.
            HttpParserError: what it says is not HTTP.
            OSError: the connection was lost.
        """
        while not self.status:
            if self._failure is not None:
                raise self._failure
            self._arrival = arrival = self._loop.create_future()
            await arrival

    async def read(self) -> bytes:
        """Everything of the body that has come; nothing at its end. Waits where none has.

        Raises what :meth:`begun` raises.
        """
        pieces = self._pieces
        while not pieces:
            if self._is_whole:
                return b""
            if self._failure is not None:
                raise self._failure
            self._arrival = arrival = self._loop.create_future()
            await arrival
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._untaken_bytes = 0
        if self._is_paused:
            self._is_paused = False
            self._heard_at = self._now()
            self._transport.resume_reading()
        return body

    def header(self, name: bytes) -> bytes:
        """The first header of this lower-case name; nothing where there is none."""
        return next((value for one, value in self.headers if one == name), b"")

    def close(self) -> None:
        """Close the connection at once, or give it back where the next request can have it.

        Closing in order would first send what is left of the request, and over TLS wait for the
        server to say goodbye.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._timer.cancel()
        # It holds this object, which would be left to the garbage collector.
        del self._parser
        if self._is_reusable and not self._transport.get_write_buffer_size():
            self._transport.set_protocol(self._handler)
            connection.release()
        else:
            self._transport.abort()
            connection.close()

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        self._heard_at = self._now()
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._is_reusable = False
            self._end(error)
            return
        if self._is_whole:
            self.close()
        else:
            self._untaken_bytes += len(data)
            if self._untaken_bytes > _MOST_UNTAKEN_BYTES:
                self._hold_back()
        if (arrival := self._arrival) is not None and not arrival.done():
            arrival.set_result(None)

    def resume_writing(self) -> None:
        """The server takes the request in: it is not silent."""
        self._heard_at = self._now()

    def eof_received(self) -> None:
        """The server says nothing more. Its connection is lost once nothing is left to send."""
        self._lose(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is no more, which its pool is to know."""
        self._handler.connection_lost(error)
        self._lose(error)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A response begins; a second one is nothing that was asked for."""
        if self._is_whole:
            raise HttpParserError("something follows the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or one after the body."""
        self.headers.append((name.lower(), value.rstrip(_BLANK)))

    def on_headers_complete(self) -> None:
        """The answer begins, or has yet to: responses below 200 only announce it."""
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
        elif status < 100 or status == _SWITCHING_PROTOCOLS:
            raise HttpParserError(f"no request asks for status {status}")
        else:
            self.headers.clear()

    def on_message_complete(self) -> None:
        """The answer is whole, where it was one."""
        if self.status:
            self._is_whole = True
            # To be asked here: afterwards the parser has forgotten.
            self._is_reusable = self._parser.should_keep_alive()

    def _hold_back(self) -> None:
        if not self._pieces:
            self._end(HttpParserError("the head of an answer is too large"))
        elif not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _look(self) -> None:
        """Fail if the server was silent for too long; the timer is not set anew by each read."""
        if self._is_paused:
            self._heard_at = self._now()
        left_s = self._heard_at + self._longest_silence_s - self._now()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._end(TimeoutError())

    def _lose(self, error: Exception | None) -> None:
        if error is None and self.is_open and self.status and not self._has_length():
            self._is_whole = True
        self._end(error or ConnectionResetError("the server closed the connection"))

    def _has_length(self) -> bool:
        """Whether the body has an end of its own, and not the connection's."""
        coding = self.header(b"transfer-encoding")
        return coding.lower().endswith(b"chunked") or bool(self.header(b"content-length"))

    def _end(self, error: Exception) -> None:
        """Expect nothing more. *error* is what happened, unless the answer was whole."""
        if not self._is_whole and self._failure is None:
            self._failure = error
        self.close()
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
