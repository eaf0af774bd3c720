"""Reading a request's body: at most so many bytes, within so much time."""

import asyncio
from typing import Any

from litestar import Request
from litestar.exceptions import LitestarException

from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.ports import Clock
from chatnest.domain.watchdog import Interruption, Watchdog, noticing
from chatnest.domain.windows import US_PER_S

# A client that is cut off while it still sends may never read why. What is too large is therefore
# read and dropped, up to here.
_MOST_DROPPED_BYTES = 64 * 1024 * 1024
BODY_WAIT_S = 30


async def read_body(request: Request[Any, Any, Any], max_bytes: int, clock: Clock) -> bytes:
    """The whole body of *request*, which must be sent as JSON; none is an empty one.

    Raises:
        InvalidRequestError: it is larger than *max_bytes*, takes too long, breaks off, or is sent
            as something else.
    """
    waiting = Interruption(clock)
    limit = Watchdog(clock, waiting.interrupt)

    def watch() -> None:
        waiting.begin()
        limit.expect_within(BODY_WAIT_S * US_PER_S)

    try:
        return _as_json(request, await noticing(_read(request, max_bytes), watch))
    except LitestarException as error:
        raise InvalidRequestError("the body broke off") from error
    except asyncio.CancelledError:
        if waiting.by_others:
            raise
    finally:
        limit.close()
        waiting.end()
    raise InvalidRequestError(f"the body did not arrive within {BODY_WAIT_S} s")


async def _read(request: Request[Any, Any, Any], max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
        elif size > _MOST_DROPPED_BYTES:
            break
    if size > max_bytes:
        raise InvalidRequestError(f"the body is larger than {max_bytes} bytes; send less")
    return b"".join(chunks)


def _as_json(request: Request[Any, Any, Any], body: bytes) -> bytes:
    # Any web page can make its visitors' browsers send what is not declared as JSON, with their
    # cookies and from their address; to send JSON, a browser first asks us whether it may.
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and not media_type.endswith(("/json", "+json")):
        raise InvalidRequestError("the body must be sent as content-type application/json")
    return body
