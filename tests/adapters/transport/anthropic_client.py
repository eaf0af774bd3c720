"""An oracle: the official Python SDK, fed with bytes in place of a network."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
from anthropic import AsyncAnthropic
from anthropic.types import Message

from chatnest.adapters.transport import Headers, WireResponse
from chatnest.adapters.transport.sse import STREAM_HEADERS

QUESTION: dict[str, Any] = {
    "model": "model-1",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Hello"}],
}


class Chunks(httpx2.AsyncByteStream):
    """A body that arrives in pieces."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class RecordingClient(AsyncAnthropic):
    """The SDK, which writes down how long it would wait for another try, and waits for nothing."""

    waits_s: list[float]

    def _calculate_retry_timeout(self, *args: Any, **kwargs: Any) -> float:
        self.waits_s.append(super()._calculate_retry_timeout(*args, **kwargs))
        return 0


def client_of(
    status: int, headers: Headers, chunks: Sequence[bytes]
) -> tuple[RecordingClient, list[httpx2.Request]]:
    """A client whose every request is answered so, and the requests that it will have made."""
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(status, headers=list(headers), stream=Chunks(chunks))

    transport = httpx2.MockTransport(answer)
    client = RecordingClient(
        api_key="key",
        base_url="http://127.0.0.1",
        http_client=httpx2.AsyncClient(transport=transport),
    )
    client.waits_s = []
    return client, requests


async def read_stream(chunks: Sequence[bytes]) -> Message:
    """The message that the SDK makes of a stream.

    Raises:
        APIStatusError: the stream ends in an error.
    """
    client, _ = client_of(200, STREAM_HEADERS, chunks)
    async with client, client.messages.stream(**QUESTION) as stream:
        return await stream.get_final_message()


async def read_whole(response: WireResponse) -> Message:
    """The message that the SDK reads out of a whole *response*.

    Raises:
        APIStatusError: it is an error.
    """
    client, _ = client_of(response.status, response.headers, [response.body])
    async with client:
        message: Message = await client.messages.create(**QUESTION)
        return message
