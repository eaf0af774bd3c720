"""Server-sent events: frames, headers, and JSON that fits on one line of data.

Frames use LF alone. Two of the clients (ChatNest's own, and AG-UI's HttpAgent) split the stream on
two LFs: framed with CRLF, the first sees no token and still reports success.
"""

import json
from typing import Final

import msgspec

from chatnest.adapters.transport.wire import Headers

STREAM_HEADERS: Final[Headers] = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-cache"),
    ("connection", "keep-alive"),
    ("x-accel-buffering", "no"),
)

FRAME_END: Final = b"\n\n"

to_json: Final = msgspec.json.Encoder().encode
"""JSON in UTF-8, without a line break.

Raises:
    UnicodeEncodeError: a text holds half of a surrogate pair; see :func:`to_escaped_json`.
"""


def to_escaped_json(value: object) -> bytes:
    r"""JSON in ASCII, where half of a surrogate pair is written as its ``\uXXXX`` escape.

    A provider may cut an emoji in two; JavaScript's ``JSON.stringify`` writes the halves so, and
    a client that joins the texts has the emoji whole again.
    """
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


def frame_start(event: str) -> bytes:
    """What stands before the data of every frame of the kind *event*."""
    return f"event: {event}\ndata: ".encode("ascii")


def empty_frame(event: str) -> bytes:
    """A frame of the kind *event* that says nothing more."""
    return frame_start(event) + FRAME_END
