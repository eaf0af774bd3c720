"""Server-sent events that have data and no name: one JSON value each, on one line."""

from typing import Final

from chatnest.adapters.transport.sse import FRAME_END, to_escaped_json, to_json

DATA: Final = b"data: "

COMMENT_PING: Final = b": ping" + FRAME_END
"""A comment, which every parser of event streams leaves out."""


def json_bytes(value: object) -> bytes:
    """*value* as JSON on one line; halves of surrogate pairs are escaped, so it never fails."""
    try:
        return to_json(value)
    except UnicodeEncodeError:
        return to_escaped_json(value)


def data_frame(value: object) -> bytes:
    """The frame of *value*."""
    return DATA + json_bytes(value) + FRAME_END
