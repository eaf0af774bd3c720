"""Uvicorn's HTTP protocol, with a bound on what is kept of a request beside its body."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Headers, trailers and the framing of chunks; the body itself is bounded where it is read.
MOST_BYTES_BESIDE_BODY = 1024 * 1024


class BoundedProtocol(HttpToolsProtocol):
    """One connection; httptools alone would keep headers of any size."""

    _bytes_beside_body = 0

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._bytes_beside_body = 0

    def on_body(self, body: bytes) -> None:
        """A piece of the request's body has come."""
        super().on_body(body)
        self._bytes_beside_body -= len(body)

    def data_received(self, data: bytes) -> None:
        """Bytes have come; too many beside a body end the connection."""
        super().data_received(data)
        self._bytes_beside_body += len(data)
        if self._bytes_beside_body > MOST_BYTES_BESIDE_BODY and not self.transport.is_closing():
            self.send_400_response("Too many headers.")
