"""Bad input over a real socket: it is told what is wrong, costs nothing, and harms nobody."""

import asyncio
import json
from typing import Any

import pytest

from tests.app.hostile_target import CHAT, DEPTH, MEGABYTE, SECRET, send, serving
from tests.support.client import WAIT_S, Exchange

pytest_plugins = ["tests.app.hostile_fixtures"]

HELLO = {"role": "user", "content": "Hello!"}
LARGEST_LIMIT = 2**53 - 1


def body(*messages: object, **fields: object) -> bytes:
    """A conversation that ends with *messages*; every other part of it is good."""
    return json.dumps({"messages": [HELLO, *messages], "note": SECRET, **fields}).encode()


def said(content: object = SECRET, role: object = "user") -> bytes:
    return body({"role": role, "content": content})


def in_place_of(old: bytes, new: bytes) -> bytes:
    whole = said("CONTENT")
    assert old in whole
    return whole.replace(old, new)


async def refusal(exchange: Exchange, status: int = 400) -> dict[str, Any]:
    """The JSON of a refusal, whose form is always the same."""
    async with exchange:
        raw = await exchange.body()
    assert exchange.status == status, raw[:500]
    assert exchange.headers["content-type"] == "application/json"
    assert exchange.headers["x-should-retry"] == "false"
    assert SECRET.encode() not in raw
    told: dict[str, Any] = json.loads(raw)
    assert told["retryable"] is False
    assert len(raw) < 500
    return told


BAD_BODIES: dict[str, tuple[bytes, str | None, str]] = {
    "empty": (b"", None, "the body is empty"),
    "blank": (b" \r\n\t", None, "the body is empty"),
    "no-json": (SECRET.encode(), None, "the body is not valid JSON"),
    "form": (b"messages=" + SECRET.encode(), None, "the body is not valid JSON"),
    "cut": (said()[:-1], None, "the body is not valid JSON"),
    "two": (said() + said(), None, "the body is not valid JSON"),
    "null": (b"null", None, "must be a JSON object"),
    "number": (b"4242", None, "must be a JSON object"),
    "string": (json.dumps(SECRET).encode(), None, "must be a JSON object"),
    "list": (b"[" + said() + b"]", None, "must be a JSON object"),
    "bom": (b"\xef\xbb\xbf" + said(), None, "the body is not valid JSON"),
    "utf-16": (said().decode().encode("utf-16"), None, "not UTF-8"),
    "latin-1": (in_place_of(b"CONTENT", b"caf\xe9"), None, "not UTF-8"),
    "raw-surrogate": (in_place_of(b"CONTENT", b"\xed\xa0\x80"), None, "not UTF-8"),
    "surrogate": (said("\ud83d"), "messages[1].content", "half of a surrogate pair"),
    "nul": (said(f"{SECRET}\0"), "messages[1].content", "NUL"),
    "raw-nul": (in_place_of(b"CONTENT", b"\0"), None, "the body is not valid JSON"),
    "spaces": (said(" " * MEGABYTE), "messages[1].content", "is blank"),
    "deep": (b"[" * DEPTH, None, "must be a JSON object"),
    "deep-object": (b'{"a":' * DEPTH, None, "nested too deeply"),
    "deep-messages": (b'{"messages":' + b"[" * DEPTH, "messages[0]", "must be an object"),
    "deep-content": (
        in_place_of(b'"CONTENT"', b"[" * DEPTH + b"]" * DEPTH),
        "messages[1].content",
        "must be a text",
    ),
    "deep-unknown": (
        said()[:-1] + b',"x":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
        None,
        "nested too deeply",
    ),
    "deep-after-nan": (
        b'{"messages":NaN,"x":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
        None,
        "nested too deeply",
    ),
    "no-messages": (b"{}", "messages", "is missing"),
    "messages-null": (b'{"messages":null}', "messages", "must be a list"),
    "messages-object": (b'{"messages":{"0":{}}}', "messages", "must be a list"),
    "messages-empty": (b'{"messages":[]}', "messages", "must be a list of 1 to 2000"),
    "messages-many": (body(*[HELLO] * 25_000), "messages", "must be a list of 1 to 2000"),
    "messages-most": (
        b'{"messages":[' + b"0," * (DEPTH - 1) + b"0]}",
        "messages[0]",
        "must be an object",
    ),
    "no-question": (b'{"messages":[{"role":"assistant","content":"a"}]}', "messages", '"user"'),
    "message-null": (body(None), "messages[1]", "must be an object"),
    "message-text": (body(SECRET), "messages[1]", "must be an object"),
    "no-role": (body({"content": SECRET}), "messages[1].role", "is missing"),
    "no-content": (body({"role": "user"}), "messages[1].content", "is missing"),
    "role": (said(role=SECRET), "messages[1].role", '"user", "assistant" or "system"'),
    "role-tool": (said(role="tool"), "messages[1].role", '"user", "assistant" or'),
    "role-number": (said(role=1), "messages[1].role", '"user", "assistant" or "system"'),
    "system": (said(role="system"), "messages[1].role", "does not take system messages"),
    "content-null": (said(None), "messages[1].content", "must be a text"),
    "content-number": (said(4242), "messages[1].content", "must be a text"),
    "content-list": (said([SECRET]), "messages[1].content", "must be a text"),
    "content-object": (said({SECRET: SECRET}), "messages[1].content", "must be a text"),
    "content-nan": (said(float("nan")), "messages[1].content", "not a number that JSON"),
    "nan": (body(dailyTokenLimit=float("nan")), "dailyTokenLimit", "not a number that"),
    "infinity": (body(dailyTokenLimit=float("inf")), "dailyTokenLimit", "not a number"),
    "profile": (body(profile=SECRET), "profile", "no such profile; there are: balanced"),
    "profile-old-name": (body(aiUsageProfile="gpt"), "profile", "no such profile"),
    "profile-type": (body(profile=[SECRET]), "profile", "must be the name"),
    "profile-empty": (body(profile=""), "profile", "must be the name"),
    "profile-long": (body(profile="x" * MEGABYTE), "profile", "1 to 100 characters"),
    "profile-nul": (body(profile="balanced\0"), "profile", "NUL"),
    "twice": (said()[:-1] + b',"messages":[]}', "messages", "must be a list of 1 to"),
    "twice-good": (
        body(profile="free")[:-1] + b',"profile":"budget"}',
        "profile",
        "given twice",
    ),
    "system-prompt": (body(systemPrompt=[SECRET]), "systemPrompt", "must be a text"),
}


@pytest.mark.parametrize(("raw", "field", "reason"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_bad_body_is_told_which_field_and_why(
    port: int, raw: bytes, field: str | None, reason: str
) -> None:
    told = await refusal(await Exchange.open(port, CHAT, body=raw))

    assert told.get("field") == field
    assert reason in told["reason"]
    about_messages = field is None or field.startswith("messages")
    subject = "messages" if about_messages else "request"
    assert told["error"] == f"Invalid {subject} payload"


@pytest.mark.parametrize("name", ["dailyTokenLimit", "maxTokensPerRequest"])
@pytest.mark.parametrize(
    "value", ["0", "-1", "1.5", "1.0", "1e400", "-0", "true", '"5"', "[]", "9" * 19, "9" * 5_000]
)
async def test_a_limit_that_is_no_whole_number_in_range_is_refused(
    port: int, name: str, value: str
) -> None:
    raw = body()[:-1] + f',"{name}":{value}}}'.encode()
    told = await refusal(await Exchange.open(port, CHAT, body=raw))

    assert told["field"] == name
    assert told["reason"] == f"must be a whole number from 1 to {LARGEST_LIMIT}"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("filling", [b" ", b"[", b"\0"])
async def test_twenty_megabytes_are_read_to_their_end_and_refused(
    port: int, chunked: bool, filling: bytes
) -> None:
    huge = filling * 20 * MEGABYTE
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
    if chunked:
        chunk = b"f4240\r\n" + huge[:MEGABYTE] + b"\r\n"
        request = head + b"transfer-encoding: chunked\r\n\r\n" + chunk * 20 + b"0\r\n\r\n"
    else:
        request = head + b"content-length: 20000000\r\n\r\n" + huge
    told = await refusal(await send(port, request))

    assert told["error"] == "Invalid messages payload"
    assert told["reason"] == "the body is larger than 1048576 bytes; send less"


async def test_a_body_is_too_large_from_the_configured_size_on() -> None:
    raw = body(profile="none")
    async with serving(max_body_bytes=len(raw)) as small:
        told = await refusal(await Exchange.open(small.port, CHAT, body=raw))
        assert told["field"] == "profile"
        told = await refusal(await Exchange.open(small.port, CHAT, body=raw + b" "))
        assert told["reason"] == f"the body is larger than {len(raw)} bytes; send less"


@pytest.mark.parametrize("text", [" " * MEGABYTE + "word", "word" + " " * MEGABYTE, "x" * MEGABYTE])
async def test_a_megabyte_around_a_word_is_too_large_for_any_profile(port: int, text: str) -> None:
    told = await refusal(await Exchange.open(port, CHAT, body=said(text)), 429)

    assert told["error"] == "Request too large. Please shorten your message."
    assert told["code"] == "request_too_large"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "*"],
)
async def test_a_body_that_is_not_declared_as_json_is_refused(port: int, content_type: str) -> None:
    headers = {"content-type": content_type}
    told = await refusal(await Exchange.open(port, CHAT, body=said(), headers=headers))

    assert told["error"] == "Invalid messages payload"
    assert told["reason"] == "the body must be sent as content-type application/json"


@pytest.mark.parametrize("ending", ["aborted", "closed"])
@pytest.mark.parametrize("length", ["content-length: 5000", "transfer-encoding: chunked"])
async def test_a_body_that_breaks_off_is_forgotten(port: int, ending: str, length: str) -> None:
    part = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n6\r\n" + '{"mess'
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(part.encode())
    await writer.drain()
    if ending == "aborted":
        writer.transport.abort()
    writer.close()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (f"profile={SECRET}", "no such profile; there are: balanced, constrained, expanded"),
        ("profile=" + "x" * 50_000, "no such profile"),
        ("profile=balanced%00", "no such profile"),
        ("profile=%ff%ed%a0%80", "no such profile"),
        ("profile=balanced&profile=balanced", "is given twice; send it once"),
    ],
    ids=["unknown", "long", "nul", "no-utf-8", "twice"],
)
async def test_usage_of_no_known_profile_is_refused(port: int, query: str, reason: str) -> None:
    told = await refusal(await Exchange.open(port, f"/api/usage?{query}", method="GET"))

    assert told["field"] == "profile"
    assert told["reason"].startswith(reason)


@pytest.mark.parametrize("days", ["0", "-1", "367", "9" * 5_000, "", "x", "1.5", "%00"])
async def test_a_history_of_no_possible_length_is_refused(port: int, days: str) -> None:
    told = await refusal(await Exchange.open(port, f"/api/usage?days={days}", method="GET"))

    assert (told["field"], told["reason"]) == ("days", "must be a whole number from 1 to 366")


async def test_a_history_of_two_lengths_is_refused(port: int) -> None:
    told = await refusal(await Exchange.open(port, "/api/usage?days=1&days=2", method="GET"))

    assert (told["field"], told["reason"]) == ("days", "is given twice; send it once")


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", CHAT, 405, {"POST", "OPTIONS"}),
        ("HEAD", CHAT, 405, {"POST", "OPTIONS"}),
        ("DELETE", CHAT, 405, {"POST", "OPTIONS"}),
        ("TRACE", CHAT, 405, {"POST", "OPTIONS"}),
        ("POST", "/api/usage", 405, {"GET", "OPTIONS"}),
        ("OPTIONS", CHAT, 204, {"POST", "OPTIONS"}),
        ("POST", "/api/chat/x", 404, set()),
        ("POST", "/api", 404, set()),
        ("POST", "/api/%2e%2e/etc/passwd%00", 404, set()),
        ("POST", "/%ff%ed%a0%80", 404, set()),
        ("OPTIONS", "*", 404, set()),
    ],
)
async def test_a_wrong_method_or_path_is_refused_in_json(
    port: int, method: str, path: str, status: int, allowed: set[str]
) -> None:
    async with await Exchange.open(port, path, method=method, body=said()) as exchange:
        assert await exchange.head() == status
    if status != 204:
        assert exchange.headers["content-type"] == "application/json"
    assert set(exchange.headers.get("allow", "").split(", ")) - {""} == allowed


SMUGGLED = b"POST /api/chat HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" + said()


NO_HTTP = {
    "garbage": b"GARBAGE\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http-9": b"POST /api/chat HTTP/9.9\r\nhost: x\r\n\r\n",
    "nul-in-path": b"GET /api/usage?profile=\0 HTTP/1.1\r\nhost: x\r\n\r\n",
    "long-path": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "nul-in-header": b"GET /api/usage HTTP/1.1\r\nhost: \0\r\n\r\n",
    "header-name": b"GET /api/usage HTTP/1.1\r\nh\xe9: x\r\n\r\n",
    "two-framings": SMUGGLED % b"content-length: 4\r\ntransfer-encoding: chunked",
    "two-framings-turned": SMUGGLED % b"transfer-encoding: chunked\r\ncontent-length: 4",
    "two-lengths": SMUGGLED % b"content-length: 4\r\ncontent-length: 400",
    "length-negative": SMUGGLED % b"content-length: -1",
    "length-huge": SMUGGLED % (b"content-length: " + b"9" * 40),
    "length-spaced": SMUGGLED % b"content-length : 4",
    "length-words": SMUGGLED % b"content-length: four",
    "framing-unknown": SMUGGLED % b"transfer-encoding: xchunked",
    "framing-twice": SMUGGLED % b"transfer-encoding: chunked, identity",
    "chunk-no-size": SMUGGLED % b"transfer-encoding: chunked",
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_not_http_is_answered_once_and_never_reaches_a_route(
    port: int, sent: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(WAIT_S):
        answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert SECRET.encode() not in answer


async def test_a_megabyte_of_headers_changes_nothing(port: int) -> None:
    headers = {f"x-{index}": SECRET * 1_000 for index in range(150)}
    told = await refusal(await Exchange.open(port, CHAT, headers=headers))

    assert told["reason"].startswith("the body is empty")


async def test_a_hundred_bad_bodies_at_once_leave_no_trace(port: int) -> None:
    bodies = [said("\0"), b"[" * DEPTH, b" " * 2 * MEGABYTE, b'{"a":' * DEPTH] * 25
    exchanges = [await Exchange.open(port, CHAT, body=raw) for raw in bodies]
    told = await asyncio.gather(*(refusal(exchange) for exchange in exchanges))

    assert {answer["code"] for answer in told} == {"invalid_request"}
