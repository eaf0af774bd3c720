"""The tool calls of one answer, put together from pieces that not every server labels."""

import hashlib
from collections.abc import Sequence

import msgspec

from chatnest.domain.events import ToolCallDelta

# Mistral takes ids of exactly nine letters and digits, and nobody refuses them.
_ID_LENGTH = 9


class FunctionPiece(msgspec.Struct, gc=False):
    """What a piece says of the function. Some servers write its arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None


class CallPiece(msgspec.Struct, gc=False):
    """A piece of a call, as it is on the wire."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None


class _Call:
    """A call that has begun: where it stands in the answer, and what was told of it."""

    __slots__ = ("id", "named", "place")

    def __init__(self, place: int, identifier: str) -> None:
        self.place = place
        self.id = identifier
        self.named = False


class ToolCalls:
    """Gives each call of an answer a place and an id of its own, in the order of appearance.

    OpenAI sends both, the id and the name with the first piece alone. Gemini leaves out the index
    and may give several whole calls the same one, as Mistral's default is; others repeat the name,
    or send no id. A missing one is made up from the bytes that it is missing in, so that the client
    can answer the call: no two calls of a conversation share it.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, pieces: Sequence[CallPiece], payload: bytes) -> list[ToolCallDelta]:
        """What *pieces*, which came in *payload*, say; nothing of one that says nothing."""
        deltas = (self._delta(piece, payload) for piece in pieces)
        return [delta for delta in deltas if delta is not None]

    def _delta(self, piece: CallPiece, payload: bytes) -> ToolCallDelta | None:
        function = piece.function or FunctionPiece()
        arguments = _as_text(function.arguments)
        if not (piece.id or function.name or arguments):
            return None
        call = self._continued(piece, function.name)
        identifier = None
        if call is None:
            call = self._begun(piece, payload)
            identifier = call.id
        name = None if call.named else function.name or None
        call.named = call.named or name is not None
        if identifier is None and name is None and not arguments:
            return None
        return ToolCallDelta(call.place, identifier, name, arguments)

    def _continued(self, piece: CallPiece, name: str | None) -> _Call | None:
        """The call that *piece* goes on with; None where it begins one.

        A name and another id together begin a call, whatever the index says; another id alone does
        not, because some servers make up a new one for every piece.
        """
        if piece.index is not None:
            known = self._by_index.get(piece.index)
            is_other = name and piece.id and known is not None and known.id != piece.id
            return None if is_other else known
        if piece.id:
            return next((call for call in self._calls if call.id == piece.id), None)
        return self._calls[-1] if self._calls and not name else None

    def _begun(self, piece: CallPiece, payload: bytes) -> _Call:
        place = len(self._calls)
        call = _Call(place, piece.id or _made_up_id(payload, place))
        self._calls.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
        return call


def _as_text(arguments: str | dict[str, object] | None) -> str:
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""


def _made_up_id(payload: bytes, place: int) -> str:
    digest = hashlib.blake2b(payload, salt=place.to_bytes(4, "big"), digest_size=_ID_LENGTH)
    return digest.hexdigest()[:_ID_LENGTH]
