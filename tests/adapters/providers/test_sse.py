"""Server-sent events, decoded from reads that end anywhere."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.providers.sse import EventDecoder
from chatnest.domain.errors import FailureKind, ProviderError

# Everything that the format tells apart, in pieces small enough to meet in any order.
PIECES = [
    *(b"\n", b"\r", b"\r\n", b"\n\n"),
    *(b"data:", b"data: ", b"data", b"datax:", b"event: ping", b"id: 1", b": comment", b":"),
    *(b"a", b" ", b"\xc3\xa9", b"\xef\xbb\xbf"),
]
streams = st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join)


def decode_whole(stream: bytes) -> list[bytes]:
    """The events of a stream that is there at once, in the words of the specification."""
    events: list[bytes] = []
    data: list[bytes] = []
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf"))
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        if line == b"":
            if data:
                events.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return events


def decode_reads(reads: list[bytes]) -> list[bytes]:
    return decode_with(EventDecoder(), reads)


def decode_with(decoder: EventDecoder, reads: list[bytes]) -> list[bytes]:
    return [event for read in reads for event in decoder.feed(read)]


@given(streams, st.data())
def test_where_reads_end_changes_nothing(stream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    edges = [0, *cuts, len(stream)]
    reads = [stream[start:end] for start, end in pairwise(edges)]
    assert decode_reads(reads) == decode_whole(stream)


@given(streams)
def test_reads_of_one_byte_change_nothing(stream: bytes) -> None:
    assert decode_reads([stream[i : i + 1] for i in range(len(stream))]) == decode_whole(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b'data: {"a":1}\n\n', [b'{"a":1}']),
        (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
        (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
        (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
        (b"data: 1\ndata: 2\n\n", [b"1\n2"]),
        (b"data:no space\n\n", [b"no space"]),
        (b"data:  two spaces\n\n", [b" two spaces"]),
        (b"data\n\n", [b""]),
        (b"event: ping\nid: 7\nretry: 1\ndata: x\n\n", [b"x"]),
        (b": comment\n\n", []),
        (b"event: only a name\n\n", []),
        (b"\xef\xbb\xbfdata: after a BOM\n\n", [b"after a BOM"]),
        (b"data: not ended\n", []),
        (b"\n\n\n", []),
    ],
)
def test_events_are_read_as_specified(stream: bytes, events: list[bytes]) -> None:
    assert decode_reads([stream]) == events


def test_an_event_is_given_by_the_read_that_ends_it() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: 1\n") == []
    assert decoder.feed(b"\ndata: 2\n\nda") == [b"1", b"2"]
    assert decoder.feed(b"ta: 3\r\n\r") == [b"3"]


@pytest.mark.parametrize(
    "endless",
    [b"x" * 10, b"data: x\n", b"data\n"],
    ids=["one line", "many lines", "many empty lines"],
)
def test_an_endless_event_is_refused_at_the_bound(endless: bytes) -> None:
    decoder = EventDecoder(most_pending_bytes=1_000)
    below, above = 500 // len(endless), 2_000 // len(endless)
    for _ in range(below):
        assert decoder.feed(endless) == []
    with pytest.raises(ProviderError) as raised:
        decode_with(decoder, [endless] * (above - below))
    assert raised.value.failure.kind is FailureKind.MALFORMED


def test_many_events_of_a_size_below_the_bound_pass() -> None:
    decoder = EventDecoder(most_pending_bytes=100)
    event = b"data: " + b"x" * 80 + b"\n\n"
    given = decode_with(decoder, [event[:40], event[40:]] * 50)
    assert given == [b"x" * 80] * 50


@pytest.mark.parametrize(
    ("reads", "events"),
    [
        ([b": a comment ", b"data: a\n\n"], []),
        ([b"data: a\n", b"data: b\n\n"], [b"a\nb"]),
        ([b": first\n", b"data: a\rdata: b\n\n"], [b"a\nb"]),
        ([b": first\n", b"data: a\n\n"], [b"a"]),
    ],
)
def test_a_read_that_looks_like_a_whole_event_may_be_none(
    reads: list[bytes], events: list[bytes]
) -> None:
    assert decode_reads(reads) == events
