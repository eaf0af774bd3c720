"""The frames of a response's stream, each with its number."""

from collections.abc import Mapping

from chatnest.adapters.transport.data_frames import json_bytes
from chatnest.adapters.transport.sse import FRAME_END, frame_start


class Pieces:
    """A text that is sent piece by piece: all that stands around each piece, written once.

    *kind* is the name of the event that brings a piece, *place* says where it belongs, *more* what
    else each event says.
    """

    def __init__(self, kind: str, place: Mapping[str, object], more: bytes = b"") -> None:
        start = json_bytes({"type": kind, **place})[:-1]
        self.head = frame_start(kind) + start + b',"delta":'
        self.tail = more + b',"sequence_number":'
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Keep *text* as the next piece."""
        self._texts.append(text)

    @property
    def text(self) -> str:
        """All pieces, joined."""
        return "".join(self._texts)


class Frames:
    """Collects numbered frames until they are taken."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._number = 0

    def event(self, kind: str, **fields: object) -> None:
        """One event with *fields*."""
        data = {"type": kind, "sequence_number": self._number, **fields}
        self._frames.append(frame_start(kind) + json_bytes(data) + FRAME_END)
        self._number += 1

    def piece(self, pieces: Pieces, text: str) -> None:
        """One more piece, *text*, of *pieces*."""
        pieces.add(text)
        number = b"%d}\n\n" % self._number
        self._frames += (pieces.head, json_bytes(text), pieces.tail, number)
        self._number += 1

    def take(self) -> bytes:
        """What came since the last time, joined."""
        taken = b"".join(self._frames)
        self._frames.clear()
        return taken
