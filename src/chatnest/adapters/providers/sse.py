"""Server-sent events, decoded from bytes as they come (WHATWG HTML, "Event stream interpretation").

Only the data of each event is given: the providers' dialects repeat the event's name in its data.
"""

from chatnest.domain.errors import Failure, FailureKind, ProviderError

MOST_PENDING_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_DATA = b"data: "
_EVENT_END = b"\n\n"
_BETWEEN_PLAIN_EVENTS = _EVENT_END + _DATA


class EventDecoder:
    """Turns the reads of one stream into the data of the events that they complete.

    Lines end in LF, CR or CRLF, wherever a read cuts them. At most *most_pending_bytes* of an
    unfinished event are kept.
    """

    __slots__ = (
        "_at_start",
        "_data",
        "_data_bytes",
        "_line",
        "_line_bytes",
        "_most_pending_bytes",
        "_was_cr",
    )

    def __init__(self, most_pending_bytes: int = MOST_PENDING_BYTES) -> None:
        self._most_pending_bytes = most_pending_bytes
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._was_cr = False
        self._at_start = True

    def feed(self, read: bytes) -> list[bytes]:
        """The data of each event that *read* completes, in order; often none.

        An event's several data lines are joined by LF. What follows the last blank line of a
        stream is no event and is never given.

        Raises:
            ProviderError: an event grew too large (``malformed``).
        """
        if self._at_start:
            read = self._without_bom(read)
        elif (
            # One plain event between two others, as nearly every read is: seen here, without a
            # call, because it comes for each token.
            read.find(b"\n") == len(read) - len(_EVENT_END)
            and read.endswith(_EVENT_END)
            and read.startswith(_DATA)
            and b"\r" not in read
            and not (self._line or self._data or self._was_cr)
        ):
            return [read[len(_DATA) : -len(_EVENT_END)]]
        if self._was_cr or b"\r" in read:
            read = self._with_lf(read)
        events: list[bytes] = []
        if b"\n" in read:
            if self._line:
                read = self._completed(read)
            if not self._data:
                events, read = _plain_events(read)
            if b"\n" in read:
                *lines, read = read.split(b"\n")
                self._interpret(lines, events)
        if read or self._data:
            self._keep(read)
        return events

    def _completed(self, read: bytes) -> bytes:
        """*read* with the beginning of its first line in front of it."""
        if not self._line:
            return read
        begun, self._line, self._line_bytes = self._line, [], 0
        return b"".join((*begun, read))

    def _interpret(self, lines: list[bytes], events: list[bytes]) -> None:
        data = self._data
        for line in lines:
            if line[:5] == b"data:":
                data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._data_bytes += len(line)
            elif not line and data:
                events.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
                self._data_bytes = 0
            elif line == b"data":
                data.append(b"")
                self._data_bytes += len(line)

    def _keep(self, rest: bytes) -> None:
        """Remember the beginning of a line; parts are joined once, however many reads it takes."""
        if rest:
            self._line.append(rest)
            self._line_bytes += len(rest)
        if self._data_bytes + self._line_bytes > self._most_pending_bytes:
            raise ProviderError(
                f"an event of the stream is larger than {self._most_pending_bytes} bytes",
                Failure(FailureKind.MALFORMED),
            )

    def _with_lf(self, read: bytes) -> bytes:
        # A CR ends its line at once. Where the next read begins with the LF of a CRLF, that line
        # has ended already.
        if self._was_cr and read:
            read = read.removeprefix(b"\n")
            self._was_cr = False
        self._was_cr = self._was_cr or read.endswith(b"\r")
        return read.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_bom(self, read: bytes) -> bytes:
        begun = self._completed(read)
        self._at_start = len(begun) < len(_BOM) and _BOM.startswith(begun)
        return begun if self._at_start else begun.removeprefix(_BOM)


def _plain_events(read: bytes) -> tuple[list[bytes], bytes]:
    """The data of the whole events that *read* begins with, and what follows them.

    Only where each of them is one line of data and nothing else, as most wires have it: then a
    read is taken apart in one go. Otherwise there are none, and all of *read* follows.
    """
    end = read.rfind(_EVENT_END)
    if end < 0 or not read.startswith(_DATA):
        return [], read
    events = read[len(_DATA) : end].split(_BETWEEN_PLAIN_EVENTS)
    if read.count(b"\n", 0, end) != len(_EVENT_END) * (len(events) - 1):
        return [], read
    return events, read[end + len(_EVENT_END) :]
