"""OpenAI's own Python client over a transport that answers from memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import httpx2
import openai

from chatnest.adapters.transport import WireResponse


class _Pieces(httpx2.SyncByteStream):
    """A body that arrives in *pieces*."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


@dataclass
class Served(httpx2.BaseTransport):
    """What the client is answered, every time, and how often it asked and how long it waited."""

    response: WireResponse = field(default_factory=lambda: WireResponse(500, (), b""))
    pieces: Sequence[bytes] = ()
    asked: int = 0
    waits_s: list[float] = field(default_factory=list)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        pieces = self.pieces or (self.response.body,)
        headers = list(self.response.headers)
        return httpx2.Response(self.response.status, headers=headers, stream=_Pieces(pieces))

    def whole(self, response: WireResponse) -> None:
        """Answer *response* from now on."""
        self.response, self.pieces, self.asked, self.waits_s = response, (), 0, []

    def stream(self, stream: bytes, cuts: Iterable[int] = ()) -> None:
        """Answer *stream* from now on, cut into pieces at *cuts*."""
        edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
        self.whole(WireResponse(200, (("content-type", "text/event-stream"),), b""))
        self.pieces = [stream[start:end] for start, end in pairwise(edges)] or [b""]


def client_of(served: Served) -> openai.OpenAI:
    """A client as everybody has it, but that it notes its waits instead of waiting."""
    client = openai.OpenAI(
        api_key="sk-test",
        base_url="http://chatnest.test/v1",
        http_client=httpx2.Client(transport=served),
    )
    calculate = client._calculate_retry_timeout

    def note_wait(
        *, retries_taken: int, max_retries: int, options: object, response: httpx2.Response | None
    ) -> None:
        left = max_retries - retries_taken
        headers = None if response is None else response.headers
        served.waits_s.append(calculate(left, options, headers))  # type: ignore[arg-type]

    client._sleep_for_retry = note_wait  # type: ignore[method-assign]
    return client


def whole_text(text: str | None) -> str:
    """*text* with the halves of surrogate pairs joined, as JavaScript has it."""
    return (text or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
