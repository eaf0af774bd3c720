"""An oracle: how the AI SDK reads a stream, written from its schema, and stricter than it.

What all of v5, v6 and v7 have is listed here; anything else, an unknown key too, is an error. So
are a null in an optional field, a delta or an end without its start, and a part left open.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.adapters.transport.whatwg_sse import parse_event_stream

Fields = dict[str, type | tuple[type, ...]]
ANYTHING = (dict, list, str, int, float, bool, type(None))
REQUIRED: dict[str, Fields] = {
    "start": {},
    "start-step": {},
    "text-start": {"id": str},
    "text-delta": {"id": str, "delta": str},
    "text-end": {"id": str},
    "reasoning-start": {"id": str},
    "reasoning-delta": {"id": str, "delta": str},
    "reasoning-end": {"id": str},
    "tool-input-start": {"toolCallId": str, "toolName": str},
    "tool-input-delta": {"toolCallId": str, "inputTextDelta": str},
    "tool-input-available": {"toolCallId": str, "toolName": str, "input": ANYTHING},
    "tool-input-error": {
        "toolCallId": str,
        "toolName": str,
        "input": ANYTHING,
        "errorText": str,
    },
    "data-chatnest-usage": {"data": ANYTHING},
    "message-metadata": {"messageMetadata": dict},
    "error": {"errorText": str},
    "finish-step": {},
    "finish": {},
}
OPTIONAL: dict[str, Fields] = {
    "start": {"messageId": str, "messageMetadata": dict},
    "reasoning-end": {"providerMetadata": dict},
    "data-chatnest-usage": {"id": str, "transient": bool},
    "finish": {"finishReason": str, "messageMetadata": dict},
}
FINISH_REASONS = {"stop", "length", "content-filter", "tool-calls", "error", "other"}


@dataclass
class AiSdkClient:
    """The message that a person sees, and what the app is told."""

    id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    finish_reason: str | None = None
    _open: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def read(self, stream: bytes) -> "AiSdkClient":
        """Read a whole stream, which ends with its mark."""
        assert b"\r" not in stream
        assert stream.endswith(b"data: [DONE]\n\n")
        *events, done = parse_event_stream(stream)
        assert done.data == "[DONE]"
        for event in events:
            assert event.type == "message"
            self._chunk(json.loads(event.data))
        assert [kind for kind, _ in self._open if kind != "tool"] == []
        return self

    def _chunk(self, chunk: dict[str, Any]) -> None:
        kind = chunk.pop("type")
        required, optional = REQUIRED[kind], OPTIONAL.get(kind, {})
        assert required.keys() <= chunk.keys()
        for name, value in chunk.items():
            assert isinstance(value, {**required, **optional}[name]), (kind, name, value)
        if kind in ("start-step", "finish-step"):
            return
        take = getattr(self, f"_{kind.replace('-', '_')}", None)
        if take is None:
            kind, _, step = kind.partition("-")
            take = getattr(self, f"_part_{step}")
            take(kind, **chunk)
        else:
            take(**chunk)

    def _start(self, messageId: str, messageMetadata: dict[str, Any]) -> None:  # noqa: N803
        assert self.id is None
        self.id = messageId
        self.metadata |= messageMetadata

    def _part_start(self, kind: str, id: str) -> None:
        assert (kind, id) not in self._open
        part = self._open[kind, id] = {"type": kind, "text": ""}
        self.parts.append(part)

    def _part_delta(self, kind: str, id: str, delta: str) -> None:
        self._open[kind, id]["text"] += delta

    def _part_end(self, kind: str, id: str, **metadata: Any) -> None:
        self._open.pop((kind, id)).update(metadata)

    def _tool_input_start(self, toolCallId: str, toolName: str) -> None:  # noqa: N803
        part = self._open["tool", toolCallId] = {
            "type": f"tool-{toolName}",
            "toolCallId": toolCallId,
            "text": "",
            "state": "input-streaming",
        }
        self.parts.append(part)

    def _tool_input_delta(self, toolCallId: str, inputTextDelta: str) -> None:  # noqa: N803
        self._open["tool", toolCallId]["text"] += inputTextDelta

    def _tool_input_available(
        self,
        toolCallId: str,  # noqa: N803
        toolName: str,  # noqa: N803
        input: object,
    ) -> None:
        part = self._open.pop(("tool", toolCallId))
        assert part["type"] == f"tool-{toolName}"
        part |= {"state": "input-available", "input": input}

    def _tool_input_error(
        self,
        toolCallId: str,  # noqa: N803
        toolName: str,  # noqa: N803
        **why: object,
    ) -> None:
        part = self._open.pop(("tool", toolCallId))
        assert part["type"] == f"tool-{toolName}"
        part |= {"state": "output-error", **why}

    def _data_chatnest_usage(self, data: dict[str, Any], transient: bool) -> None:
        assert transient
        self.data.append(data)

    def _message_metadata(self, messageMetadata: dict[str, Any]) -> None:  # noqa: N803
        self.metadata |= messageMetadata

    def _error(self, errorText: str) -> None:  # noqa: N803
        assert self.error is None
        self.error = errorText

    def _finish(self, finishReason: str, messageMetadata: dict[str, Any] | None = None) -> None:  # noqa: N803
        assert finishReason in FINISH_REASONS
        self.finish_reason = finishReason
        self.metadata |= messageMetadata or {}
