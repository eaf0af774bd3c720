"""Holds as JSON: every value comes back, as itself, and the text can be read."""

import json
from dataclasses import asdict, fields, replace

import msgspec
import pytest
from hypothesis import given

from chatnest.adapters.storage.hold_json import (
    decode_hold,
    decode_lines,
    encode_hold,
    encode_lines,
)
from chatnest.domain.budget import AccountKey, Hold, HoldLine, HoldState, Unit
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import NOON, open_hold
from chatnest.testing.ledger_rows import holds

KEY = AccountKey("ann", Unit.NANO_USD, Period.MONTH, NOON)
HOLD = replace(
    open_hold("h", NOON),
    lines=(HoldLine(KEY, 3), HoldLine(KEY, 2**62, 0)),
    state=HoldState.SETTLED,
    usage=TokenUsage(4, 3),
)


@given(hold=holds())
def test_a_hold_comes_back_from_its_json(hold: Hold) -> None:
    # repr: True is not 1, and a member of an enumeration is not its string.
    assert repr(decode_hold(encode_hold(hold))) == repr(hold)
    assert repr(decode_hold(encode_hold(hold).decode())) == repr(hold)


@given(hold=holds())
def test_lines_come_back_from_their_json(hold: Hold) -> None:
    assert repr(decode_lines(encode_lines(hold.lines))) == repr(hold.lines)
    assert repr(decode_lines(encode_lines(hold.lines).encode())) == repr(hold.lines)


def test_the_json_has_every_field_under_its_own_name() -> None:
    read = json.loads(encode_hold(HOLD))
    assert list(read) == [field.name for field in fields(Hold)]
    assert (read["state"], read["lines"][0]["account"]["unit"]) == ("settled", "nano_usd")
    assert json.loads(encode_lines(HOLD.lines)) == json.loads(json.dumps(asdict(HOLD)["lines"]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        encode_hold(HOLD)[:-1],
        encode_hold(HOLD).replace(b'"settled"', b'"lost"'),
        encode_hold(HOLD).replace(b'"output_cap":', b'"cap":'),
        encode_hold(HOLD).replace(b'"id":"h"', b'"id":7'),
    ],
)
def test_what_is_no_hold_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_hold(data)


@pytest.mark.parametrize("data", ["", "null", "{}", "[{}]", "[1]", encode_lines(HOLD.lines)[:-1]])
def test_what_are_no_lines_is_refused(data: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_lines(data)
