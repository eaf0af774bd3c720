"""Bad input in every dialect over a real socket: told in its form, free, without a trace."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.app.hostile_target import DEPTH, MEGABYTE, SECRET, send
from tests.support.client import Exchange
from tests.support.dialects import CHATNEST, SPEAKERS
from tests.support.provider_dialects import ANTHROPIC
from tests.support.speaker import Refused, Speaker, Talk

pytest_plugins = ["tests.app.hostile_fixtures"]

each_dialect = pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)
NAMES_MODELS = [speaker for speaker in SPEAKERS.values() if speaker is not CHATNEST]
CONTENT_TYPES = {"ai-sdk": "text/plain; charset=utf-8"}


def good(speaker: Speaker, text: str = f"CONTENT {SECRET}") -> bytes:
    """A request that only a limit of the caller's could refuse."""
    body = speaker.body(Talk(None, (text,)))
    return speaker.raw(body if speaker is CHATNEST else speaker.model(body, "scripted"))


def with_text(change: bytes) -> Callable[[Speaker], bytes]:
    """The good request with *change* in its text."""
    return lambda speaker: good(speaker).replace(b"CONTENT", change)


def with_field(field: bytes) -> Callable[[Speaker], bytes]:
    """The good request with one more *field*."""
    return lambda speaker: good(speaker)[:-1] + b"," + field + b"}"


def whole(body: bytes) -> Callable[[Speaker], bytes]:
    return lambda speaker: body


def twice(speaker: Speaker) -> bytes:
    """The good request with everything in it given twice."""
    inner = good(speaker)[1:-1]
    return b"{" + inner + b"," + inner + b"}"


# What is sent, and what is told of it.
BAD_BODIES: dict[str, tuple[Callable[[Speaker], bytes], str]] = {
    "empty": (whole(b""), "the body is empty"),
    "blank": (whole(b" \r\n\t"), "the body is empty"),
    "no-json": (whole(SECRET.encode()), "the body is not valid JSON"),
    "form": (whole(b"messages=" + SECRET.encode()), "the body is not valid JSON"),
    "null": (whole(b"null"), "must be a JSON object"),
    "number": (whole(b"4242"), "must be a JSON object"),
    "string": (whole(json.dumps(SECRET).encode()), "must be a JSON object"),
    "list": (lambda speaker: b"[" + good(speaker) + b"]", "must be a JSON object"),
    "cut": (lambda speaker: good(speaker)[:-1], "the body is not valid JSON"),
    "two": (lambda speaker: good(speaker) * 2, "the body is not valid JSON"),
    "bom": (lambda speaker: b"\xef\xbb\xbf" + good(speaker), "the body is not valid JSON"),
    "utf-16": (lambda speaker: good(speaker).decode().encode("utf-16"), "not UTF-8"),
    "latin-1": (with_text(b"caf\xe9"), "not UTF-8"),
    "raw-surrogate": (with_text(b"\xed\xa0\x80"), "not UTF-8"),
    "surrogate": (with_text(b"\\ud83d"), "half of a surrogate pair"),
    "nul": (with_text(b"\\u0000"), "holds a NUL character"),
    "raw-nul": (with_text(b"\0"), "the body is not valid JSON"),
    "twice": (twice, "is given twice; send it once"),
    "nested-twice": (with_field(b'"metadata":{"a":"1","a":"2"}'), "is given twice; send it once"),
    "deep": (whole(b"[" * DEPTH), "must be a JSON object"),
    "deep-object": (whole(b'{"a":' * DEPTH), "nested too deeply"),
    "deep-field": (with_field(b'"x":' + b"[" * DEPTH + b"]" * DEPTH), "nested too deeply"),
    "deep-after-nan": (
        with_field(b'"x":NaN,"y":' + b"[" * DEPTH + b"]" * DEPTH),
        "nested too deeply",
    ),
    "nan": (with_field(b'"x":NaN'), "is not a number that JSON has"),
    "infinity": (with_field(b'"x":-Infinity'), "is not a number that JSON has"),
    "digits": (with_field(b'"x":' + b"9" * 5_000), "a number has too many digits"),
}


async def refusal(speaker: Speaker, exchange: Exchange, status: int = 400) -> Refused:
    """The error in its dialect's form, which repeats nothing of what was sent."""
    async with exchange:
        raw = await exchange.body()
    assert exchange.status == status, raw[:500]
    expected = CONTENT_TYPES.get(speaker.name, "application/json")
    assert exchange.headers["content-type"] == expected
    assert exchange.headers["x-should-retry"] == "false"
    assert SECRET.encode() not in raw
    assert len(raw) < 500
    return speaker.refused(exchange.status, raw)


@pytest.mark.parametrize(("make", "reason"), BAD_BODIES.values(), ids=BAD_BODIES)
@each_dialect
async def test_a_bad_body_is_told_why(
    port: int, speaker: Speaker, make: Callable[[Speaker], bytes], reason: str
) -> None:
    told = await refusal(speaker, await Exchange.open(port, speaker.path, body=make(speaker)))

    assert reason in told.text


async def test_a_bad_body_is_not_counted(port: int) -> None:
    path = f"{ANTHROPIC.path}/count_tokens"
    for make, reason in BAD_BODIES.values():
        exchange = await Exchange.open(port, path, body=make(ANTHROPIC))
        assert reason in (await refusal(ANTHROPIC, exchange)).text


@pytest.mark.parametrize("change", [b"\\u0000", b"\\ud83d"], ids=["nul", "surrogate"])
@each_dialect
async def test_a_bad_text_is_told_where(port: int, speaker: Speaker, change: bytes) -> None:
    raw = with_text(change)(speaker)
    told = await refusal(speaker, await Exchange.open(port, speaker.path, body=raw))

    assert (told.field or told.text.partition(": ")[2]).startswith(speaker.question)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("filling", [b" ", b"["])
@each_dialect
async def test_twenty_megabytes_are_read_to_their_end_and_refused(
    port: int, speaker: Speaker, chunked: bool, filling: bytes
) -> None:
    huge = filling * MEGABYTE
    head = f"POST {speaker.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    if chunked:
        chunk = b"f4240\r\n" + huge + b"\r\n"
        request = b"transfer-encoding: chunked\r\n\r\n" + chunk * 20 + b"0\r\n\r\n"
    else:
        request = b"content-length: 20000000\r\n\r\n" + huge * 20
    told = await refusal(speaker, await send(port, head.encode() + request))

    assert "the body is larger than 1048576 bytes; send less" in told.text


@each_dialect
async def test_a_megabyte_of_text_is_too_large_in_each_dialects_own_way(
    port: int, speaker: Speaker
) -> None:
    exchange = await Exchange.open(port, speaker.path, body=good(speaker, "x" * MEGABYTE))
    status = 413 if speaker.path.startswith("/v1/") else 429
    told = await refusal(speaker, exchange, status)

    assert told.text == "Request too large. Please shorten your message."


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
@each_dialect
async def test_a_body_that_is_not_declared_as_json_is_refused(
    port: int, speaker: Speaker, content_type: str
) -> None:
    headers = {"content-type": content_type}
    exchange = await Exchange.open(port, speaker.path, body=good(speaker), headers=headers)
    told = await refusal(speaker, exchange)

    assert told.text.endswith("the body must be sent as content-type application/json")


@pytest.mark.parametrize("ending", ["aborted", "closed"])
@each_dialect
async def test_a_body_that_breaks_off_is_forgotten(
    port: int, speaker: Speaker, ending: str
) -> None:
    part = f"POST {speaker.path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n" + '{"mess'
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(part.encode())
    await writer.drain()
    if ending == "aborted":
        writer.transport.abort()
    writer.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "TRACE", "PUT"])
@each_dialect
async def test_a_chat_is_nothing_but_posted(port: int, speaker: Speaker, method: str) -> None:
    async with await Exchange.open(port, speaker.path, method=method) as exchange:
        assert await exchange.head() == 405
    assert set(exchange.headers["allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("speaker", NAMES_MODELS, ids=lambda speaker: speaker.name)
async def test_a_name_that_is_no_model_is_refused_without_being_repeated(
    port: int, speaker: Speaker
) -> None:
    for model in (SECRET, "x" * 100, "../../etc/passwd", "scripted "):
        body: dict[str, Any] = speaker.model(speaker.body(Talk(None, ("Hello!",))), model)
        exchange = await Exchange.open(port, speaker.path, body=speaker.raw(body))
        told = await refusal(speaker, exchange)
        assert "no such model; there is: scripted" in told.text


async def test_a_hundred_bad_bodies_of_all_dialects_at_once_leave_no_trace(port: int) -> None:
    attacks = [
        (speaker, make(speaker)) for make, _ in BAD_BODIES.values() for speaker in SPEAKERS.values()
    ]
    exchanges = [
        (speaker, await Exchange.open(port, speaker.path, body=raw)) for speaker, raw in attacks
    ]
    await asyncio.gather(*(refusal(speaker, exchange) for speaker, exchange in exchanges))
