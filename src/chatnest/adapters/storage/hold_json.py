"""Holds and their lines as JSON: readable where they are stored, and fast to read back."""

from typing import Final

import msgspec

from chatnest.domain.budget import Hold, HoldLine

_encoder: Final = msgspec.json.Encoder()
_hold_decoder: Final = msgspec.json.Decoder(Hold)
_lines_decoder: Final = msgspec.json.Decoder(tuple[HoldLine, ...])


def encode_hold(hold: Hold) -> bytes:
    """*hold* as a JSON object with the names of its fields."""
    return _encoder.encode(hold)


def decode_hold(data: bytes | str) -> Hold:
    """The hold in *data*.

    Raises:
        msgspec.DecodeError: *data* is no such hold.
    """
    return _hold_decoder.decode(data)


def encode_lines(lines: tuple[HoldLine, ...]) -> str:
    """*lines* as a JSON array of objects."""
    return _encoder.encode(lines).decode()


def decode_lines(data: bytes | str) -> tuple[HoldLine, ...]:
    """The lines in *data*.

    Raises:
        msgspec.DecodeError: *data* is no such array.
    """
    return _lines_decoder.decode(data)
