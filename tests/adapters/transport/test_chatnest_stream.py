"""Events on ChatNest's wire: byte for byte, and as its clients read them."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport import ChatNestDialect, Dialect, Encoder
from chatnest.adapters.transport.chatnest import ChatNestEncoder
from chatnest.domain.admission import Admitted
from chatnest.domain.budget import Hold, Unit
from chatnest.domain.errors import PublicError
from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import Period
from tests.adapters.transport.examples import NOW, balance, rate
from tests.adapters.transport.npm_client import NpmClient
from tests.adapters.transport.whatwg_sse import ServerSentEvent, parse_event_stream

DIALECT: Dialect = ChatNestDialect()
STARTED = Started("request-1", "model-1", "balanced", NOW)
DONE = Finished(FinishReason.STOP)
USAGE = UsageReported(
    TokenUsage(120, 30, cached_input_tokens=100, reasoning_tokens=8),
    FinishReason.STOP,
    cost_nano_usd=1_234_500,
    balances=(balance(settled=1_150, held=0),),
)

# Whatever a model says: any text without halves of surrogate pairs, and often what breaks frames.
HARD_PIECES = st.sampled_from(
    [
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\0",
        "\x1f",
        "\x7f",
        "\x85",
        "\u2028",
        "\u2029",
        "\ufeff",
        "é",
        '"',
        "\\",
        "\\ud800",
        "\U0001f600",
        " ",
        "data: ",
        "event: done\ndata: \n\n",
        "</script>",
    ]
)
TEXTS = st.lists(HARD_PIECES | st.text(max_size=4), min_size=1, max_size=6).map("".join)
NON_EMPTY_TEXTS = TEXTS.filter(bool)


def encode(*events: ChatEvent) -> bytes:
    return ChatNestEncoder().encode(events)


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        (STARTED, b"event: start\ndata: \n\n"),
        (TextDelta("Hi"), b'event: token\ndata: "Hi"\n\n'),
        (TextDelta(' "a"\n\\'), b'event: token\ndata: " \\"a\\"\\n\\\\"\n\n'),
        (TextDelta("\u2028é\0"), 'event: token\ndata: "\u2028é\\u0000"\n\n'.encode()),
        (ReasoningDelta("Hm"), b'event: reasoning\ndata: "Hm"\n\n'),
        (
            ToolCallDelta(0, "call-1", "search", '{"q":'),
            b'event: tool_call\ndata: {"index":0,"id":"call-1","name":"search",'
            b'"arguments":"{\\"q\\":"}\n\n',
        ),
        (ToolCallDelta(1), b'event: tool_call\ndata: {"index":1,"arguments":""}\n\n'),
        (DONE, b"event: done\ndata: \n\n"),
        (Finished(FinishReason.LENGTH), b"event: done\ndata: \n\n"),
        (
            Failed(PublicError("provider_timeout", "Too slow.", retryable=True)),
            b'event: error\ndata: {"message":"Too slow.","code":"provider_timeout",'
            b'"retryable":true}\n\n',
        ),
    ],
)
def test_each_event_is_one_frame_of_exact_bytes(event: ChatEvent, frame: bytes) -> None:
    assert encode(event) == frame


def test_a_ping_is_one_frame_of_exact_bytes() -> None:
    encoder: Encoder = ChatNestEncoder()
    assert encoder.ping == b"event: ping\ndata: \n\n"


def test_usage_has_the_tokens_the_cost_and_what_is_left_of_each_limit() -> None:
    assert encode(USAGE) == (
        b'event: usage\ndata: {"inputTokens":120,"outputTokens":30,"totalTokens":150,'
        b'"cachedInputTokens":100,"reasoningTokens":8,"costUsd":"0.0012345",'
        b'"finishReason":"stop","estimated":false,"limits":[{"name":"tokens-day","scope":"someone",'
        b'"limit":70000,"used":1150,"held":0,"remaining":68850,'
        b'"resetsAt":"2026-11-23T00:00:00Z"}]}\n\n'
    )


def test_what_is_not_known_of_usage_is_null() -> None:
    unlimited = balance(Unit.REQUESTS, Period.TOTAL, limit=None, settled=3, held=1)
    (event,) = parse_event_stream(
        encode(UsageReported(TokenUsage(1, 2), estimated=True, balances=(unlimited,)))
    )
    report = json.loads(event.data)
    assert (report["costUsd"], report["finishReason"]) == (None, None)
    assert report["estimated"] is True
    assert report["limits"] == [
        {
            "name": "requests-total",
            "scope": "someone",
            "limit": None,
            "used": 3,
            "held": 1,
            "remaining": None,
            "resetsAt": None,
        }
    ]


def test_the_frames_of_a_batch_are_joined_in_their_order() -> None:
    batch = (STARTED, TextDelta("a"), TextDelta("b"), USAGE, DONE)
    assert encode(*batch) == b"".join(encode(event) for event in batch)
    assert [event.type for event in parse_event_stream(encode(*batch))] == [
        "start",
        "token",
        "token",
        "usage",
        "done",
    ]


def test_an_empty_batch_is_no_bytes() -> None:
    assert encode() == b""


@given(TEXTS)
def test_a_token_is_framed_as_the_original_does_it(text: str) -> None:
    # JSON.stringify escapes what the standard library does without ensure_ascii, and no more.
    expected = f"event: token\ndata: {json.dumps(text, ensure_ascii=False)}\n\n"
    assert encode(TextDelta(text)) == expected.encode("utf-8")


@given(
    st.lists(st.lists(NON_EMPTY_TEXTS, max_size=4), max_size=4),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_the_npm_client_reads_every_text_however_the_stream_is_cut(
    batches: list[list[str]], cuts: list[int]
) -> None:
    encoder = ChatNestEncoder()
    stream = encoder.encode((STARTED,))
    for texts in batches:
        stream += encoder.encode([TextDelta(text) for text in texts]) + encoder.ping
    stream += encoder.encode((USAGE, DONE))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]

    client = NpmClient().read(chunks)

    assert client.text == "".join(text for texts in batches for text in texts)
    assert client.done
    assert client.error is None
    assert client.ignored == ["start", *["ping"] * len(batches), "usage"]


@given(st.lists(NON_EMPTY_TEXTS, max_size=5))
def test_a_client_by_the_standard_reads_every_text(texts: list[str]) -> None:
    events = parse_event_stream(encode(STARTED, *map(TextDelta, texts), DONE))
    assert events[0] == ServerSentEvent("start", "")
    assert [json.loads(event.data) for event in events[1:-1]] == texts
    assert events[-1] == ServerSentEvent("done", "")


@given(NON_EMPTY_TEXTS)
def test_a_client_sees_neither_reasoning_nor_tool_calls_as_text(text: str) -> None:
    events = (STARTED, ReasoningDelta(text), ToolCallDelta(0, "1", text, text), DONE)
    client = NpmClient().read([encode(*events)])
    assert (client.text, client.done) == ("", True)
    reasoning, call = parse_event_stream(encode(*events))[1:3]
    assert json.loads(reasoning.data) == text
    assert json.loads(call.data) == {"index": 0, "id": "1", "name": text, "arguments": text}


@given(TEXTS, st.booleans())
def test_an_error_ends_the_answer_with_its_message(message: str, retryable: bool) -> None:
    stream = encode(TextDelta("half"), Failed(PublicError("some_code", message, retryable)))
    client = NpmClient().read([stream])
    assert (client.text, client.done, client.error) == ("half", False, message)
    assert json.loads(parse_event_stream(stream)[-1].data) == {
        "message": message,
        "code": "some_code",
        "retryable": retryable,
    }


@pytest.mark.parametrize("make", [TextDelta, ReasoningDelta])
def test_an_emoji_that_a_provider_cut_in_two_is_whole_again_for_the_client(
    make: type[TextDelta | ReasoningDelta],
) -> None:
    stream = encode(TextDelta("é"), make("\ud83d"), make("\ude00"), DONE)
    datas = [event.data for event in parse_event_stream(stream)[1:-1]]
    assert datas == ['"\\ud83d"', '"\\ude00"']
    halves = "".join(json.loads(data) for data in datas)
    assert halves.encode("utf-16", "surrogatepass").decode("utf-16") == "\U0001f600"


def test_half_a_pair_anywhere_never_breaks_a_stream() -> None:
    halves = (
        ToolCallDelta(0, "\ud800", None, "\udfff"),
        USAGE,
        Failed(PublicError("x", "\ud83d")),
    )
    call, usage, error = parse_event_stream(encode(*halves))
    assert json.loads(call.data) == {"index": 0, "id": "\ud800", "arguments": "\udfff"}
    assert usage == parse_event_stream(encode(USAGE))[0]
    assert json.loads(error.data)["message"] == "\ud83d"


def test_a_stream_has_the_headers_of_the_original_and_the_limits() -> None:
    hold = Hold("h", "r", "someone", "balanced", "p", "m", (), 400, NOW, NOW + 1)
    admitted = Admitted(hold, (rate(29, 2_000_000),), (balance(held=600),))
    assert DIALECT.stream_headers(STARTED, admitted, NOW) == (
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("connection", "keep-alive"),
        ("x-accel-buffering", "no"),
        ("ratelimit-policy", '"requests";q=30;w=60, "tokens-day";q=70000;w=86400'),
        ("ratelimit", '"requests";r=29;t=2, "tokens-day";r=69400;t=21600'),
    )
