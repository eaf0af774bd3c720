"""An oracle: the event stream interpretation of the HTML standard, section 9.2.6."""

import re
from typing import NamedTuple


class ServerSentEvent(NamedTuple):
    """One dispatched event."""

    type: str
    data: str


def parse_event_stream(stream: bytes) -> list[ServerSentEvent]:
    """The events that a conforming client dispatches; an unfinished one at the end is dropped."""
    text = stream.decode("utf-8").removeprefix("\ufeff")
    events: list[ServerSentEvent] = []
    kind, data = "", ""
    *lines, _unfinished = re.split("\r\n|\n|\r", text)
    for line in lines:
        if not line:
            if data:
                events.append(ServerSentEvent(kind or "message", data.removesuffix("\n")))
            kind, data = "", ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data += value + "\n"
    return events
