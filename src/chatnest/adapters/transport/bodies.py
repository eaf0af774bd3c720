"""Decoding a request's body into a typed structure, with errors in the client's own terms."""

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from chatnest.adapters.transport.flaws import NESTED_TOO_DEEPLY, unreadable
from chatnest.domain.errors import InvalidRequestError

T = TypeVar("T")

_PATH_MARK = " - at `$"
_MISSING = "Object missing required field `"


class BodyFormat(Generic[T]):
    """What the bodies of one route look like.

    *body_type* is a msgspec structure; *expected* says for each field in it what it must be, as
    the end of a sentence. Its keys are paths without indices (``messages[].role``); the body
    itself is the empty path.
    """

    def __init__(self, body_type: type[T], expected: Mapping[str, str]) -> None:
        self._decoder = msgspec.json.Decoder(body_type)
        self._expected = expected

    def decode(self, body: bytes) -> T:
        """*body* as its type.

        Raises:
            InvalidRequestError: it is not JSON, or a field in it is not what it must be.
        """
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise self._misfit(str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise unreadable(body) from error
        except RecursionError as error:
            raise InvalidRequestError(NESTED_TOO_DEEPLY) from error

    def _misfit(self, message: str) -> InvalidRequestError:
        # msgspec says: Expected `str`, got `int` - at `$.messages[0].content`
        told, _, path = message.rpartition(_PATH_MARK)
        field = path.rstrip("`").lstrip(".") if told else ""
        missing = message.startswith(_MISSING)
        if missing:
            name = message.removeprefix(_MISSING).partition("`")[0]
            field = f"{field}.{name}".lstrip(".")
        expected = self._expected.get(_without_indices(field), "is not valid")
        reason = f"is missing; it {expected}" if missing else expected
        return InvalidRequestError(reason, field=field or None)


def _without_indices(path: str) -> str:
    head, *rest = path.split("[")
    return head + "".join("[]" + part.partition("]")[2] for part in rest)
