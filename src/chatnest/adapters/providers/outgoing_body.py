"""The body of a request, which knows whether the request has left."""

import aiohttp
from aiohttp.abc import AbstractStreamWriter


class OutgoingBody(aiohttp.Payload):
    """A JSON body. ``was_sent`` turns True when the first bytes of the request leave.

    aiohttp holds a request's head back until its body is written, so while this is False a server
    cannot have seen anything. (Its own body of bytes warns of more than a megabyte, which a
    conversation with pictures may be.)
    """

    _autoclose = True

    def __init__(self, content: bytes) -> None:
        super().__init__(content, content_type="application/json")
        self._size = len(content)
        self.was_sent = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text, for aiohttp's own use."""
        content: bytes = self._value
        return content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write everything, unless the connection is lost already."""
        transport = writer.transport
        self.was_sent = transport is not None and not transport.is_closing()
        await writer.write(self._value)
