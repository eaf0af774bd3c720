"""An oracle: how the original npm client reads a stream, written from its rules alone.

It keeps undecoded bytes and unfinished frames for later, cuts frames at two LFs, trims what
follows ``data:``, parses the data of a ``token`` as JSON, stops at ``done`` or ``error``, ignores
every other event, and takes a stream that just stops for a complete one.
"""

import codecs
import json
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class NpmClient:
    """What a person sees: the text so far, whether it is complete, the error's message."""

    text: str = ""
    done: bool = False
    error: str | None = None
    ignored: list[str] = field(default_factory=list)
    _buffer: str = ""

    def read(self, chunks: Iterable[bytes]) -> "NpmClient":
        """Read the chunks of a whole stream."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        for chunk in chunks:
            self._buffer += decoder.decode(chunk)
            *frames, self._buffer = self._buffer.split("\n\n")
            for frame in frames:
                if not self.done and self.error is None:
                    self._frame(frame)
        return self

    def _frame(self, frame: str) -> None:
        event = data = ""
        for line in frame.split("\n"):
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                data = line.removeprefix("data:").strip()
        match event:
            case "token":
                self.text += json.loads(data)
            case "done":
                self.done = True
            case "error":
                self.error = json.loads(data)["message"]
            case _:
                self.ignored.append(event)
