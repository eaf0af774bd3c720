"""The mock upstream, a process of its own: ``python -m bench.upstream``, which prints its port.

It answers OpenAI's and Anthropic's wire as :mod:`bench.scripts` says, from ready-made bytes and
without a task for a request, so that it is not what limits a measurement. ``GET /record`` tells
what became of the answers, ``POST /forget`` begins anew, and ``POST /hang-up`` closes the
connections of those that are under way.
"""

import asyncio
import socket
from time import monotonic_ns
from typing import Final, cast

import msgspec
import uvloop

from bench.scripts import Script, script_in
from bench.upstream_answers import Parts, parts, whole

_BACKLOG: Final = 4_096
_HEADERS_END: Final = b"\r\n\r\n"
_NOTHING: Final = Parts(b"", (), b"")
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}"


class LeftAnswer(msgspec.Struct):
    """An answer whose connection was closed before its end, and what had been written of it."""

    tag: int
    left_ns: int
    tokens: int


class Record(msgspec.Struct):
    """What became of the answers since the last ``/forget``; *open* are the tags under way."""

    asked: int = 0
    finished: int = 0
    tokens: int = 0
    open: list[int] = msgspec.field(default_factory=list)
    left: list[LeftAnswer] = msgspec.field(default_factory=list)


class Upstream:
    """What all connections share."""

    def __init__(self) -> None:
        self.record = Record()
        self.open: set[Conversation] = set()
        self.loop = asyncio.get_running_loop()

    def admin(self, path: str) -> bytes:
        """The response to a request that is not for an answer."""
        if path == "/forget":
            self.record = Record()
        elif path == "/hang-up":
            for conversation in tuple(self.open):
                conversation.hang_up()
        elif path != "/record":
            return _NOT_FOUND
        self.record.open = [conversation.tag for conversation in self.open]
        body = msgspec.json.encode(self.record)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return head % len(body) + body


class Conversation(asyncio.Protocol):
    """One connection: its requests, one after the other, and the answer that is being written."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._received = bytearray()
        self._script: Script | None = None
        self._timer: asyncio.Handle | None = None
        self._begun = 0.0
        self.tag = 0
        self._tokens = 0
        self._parts = _NOTHING

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._script is None and self._take_request():
            pass

    def hang_up(self) -> None:
        """Close the connection, whatever is under way."""
        self._over()
        self._transport.abort()

    def eof_received(self) -> None:
        self._note_left()

    def connection_lost(self, error: Exception | None) -> None:
        self._note_left()

    def _take_request(self) -> bool:
        """Begin to answer the next request, if it is whole."""
        end = self._received.find(_HEADERS_END)
        if end < 0:
            return False
        head = bytes(self._received[:end]).lower()
        body_at = end + len(_HEADERS_END)
        _, found, rest = head.partition(b"\r\ncontent-length:")
        length = int(rest.partition(b"\r\n")[0]) if found else 0
        if len(self._received) < body_at + length:
            return False
        body = bytes(self._received[body_at : body_at + length])
        del self._received[: body_at + length]
        self._answer(head.split(b" ", 2)[1].decode(), body)
        return True

    def _answer(self, path: str, body: bytes) -> None:
        asked = script_in(body)
        if asked is None:
            self._transport.write(self._upstream.admin(path))
            return
        script, self.tag = asked
        record = self._upstream.record
        record.asked += 1
        if script.at_once:
            self._transport.write(whole(path, script.tokens))
            record.finished += 1
            record.tokens += script.tokens
            return
        self._begin(path, script)

    def _begin(self, path: str, script: Script) -> None:
        self._parts = parts(path, script.tokens)
        self._script = script
        self._tokens = 0
        self._upstream.open.add(self)
        self._begun = self._upstream.loop.time() + script.first_ms / 1e3
        if script.first_ms:
            self._timer = self._upstream.loop.call_at(self._begun, self._begin_late)
        else:
            self._begin_late()

    def _begin_late(self) -> None:
        self._transport.write(self._parts.opening)
        self._next_tokens()

    def _next_tokens(self) -> None:
        script = self._script
        if script is None:
            return
        end = min(self._tokens + (script.together or 1), script.tokens)
        self._transport.write(self._parts.tokens(self._tokens, end))
        self._tokens = end
        if self._tokens == script.tokens:
            self._finish()
        elif script.delay_ms:
            writes = self._tokens / (script.together or 1)
            at = self._begun + writes * script.delay_ms / 1e3
            self._timer = self._upstream.loop.call_at(at, self._next_tokens)
        else:
            self._timer = self._upstream.loop.call_soon(self._next_tokens)

    def _finish(self) -> None:
        self._transport.write(self._parts.ending)
        self._upstream.record.finished += 1
        self._over()
        while self._script is None and self._take_request():
            pass

    def _note_left(self) -> None:
        """The client has closed its side; what was not written yet never will be."""
        if self._script is not None:
            left = LeftAnswer(self.tag, monotonic_ns(), self._tokens)
            self._upstream.record.left.append(left)
            self._over()
            self._transport.close()

    def _over(self) -> None:
        self._upstream.record.tokens += self._tokens
        self._upstream.open.discard(self)
        self._script = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def serve() -> None:
    """Serve until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    upstream = Upstream()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Conversation(upstream), sock=listener, backlog=_BACKLOG
    )
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
