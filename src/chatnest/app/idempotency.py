"""The header by which a caller names a request, so that it is answered once."""

from dataclasses import replace
from typing import Any, Final

from litestar import Request

from chatnest.app.request_headers import header_values
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.requests import ChatRequest

KEY_HEADER: Final = "Idempotency-Key"
LONGEST_KEY: Final = 255
_RAW_KEY_HEADER: Final = KEY_HEADER.lower().encode()


def keyed(asked: ChatRequest, request: Request[Any, Any, Any]) -> ChatRequest:
    """*asked* under the idempotency key that *request* carries, if it does.

    Raises:
        InvalidRequestError: it is none that can be kept, or there are several.
    """
    keys = header_values(request, _RAW_KEY_HEADER)
    if not keys:
        return asked
    if len(keys) > 1:
        raise InvalidRequestError("is given twice; send it once", field=KEY_HEADER)
    key = keys[0]
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequestError(
            f"must be 1 to {LONGEST_KEY} printable ASCII characters", field=KEY_HEADER
        )
    return replace(asked, idempotency_key=key)
