"""An oracle: AG-UI's Python models read each event; here is what they add up to.

As the protocol's own client does, it refuses a piece of what is not open, an opening of what is,
and a run that ends with something open. It refuses a null and an unknown field as well.
"""

from dataclasses import dataclass, field
from typing import Any

from ag_ui.core import Event
from ag_ui.core import events as ag
from pydantic import BaseModel, TypeAdapter

from tests.adapters.transport.whatwg_sse import parse_event_stream

EVENTS: TypeAdapter[Event] = TypeAdapter(Event)
RUN_ENDS = (ag.RunFinishedEvent, ag.RunErrorEvent)


@dataclass
class AgUiClient:
    """The messages of a run, and how it ended; a reasoning message's value is its seal."""

    events: list[Any] = field(default_factory=list)
    text: str = ""
    thoughts: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, dict[str, str]] = field(default_factory=dict)
    custom: list[tuple[str, Any]] = field(default_factory=list)
    end: ag.RunFinishedEvent | ag.RunErrorEvent | None = None
    _open: set[tuple[str, str]] = field(default_factory=set)

    def read(self, stream: bytes) -> "AgUiClient":
        """Read a whole stream."""
        assert b"\r" not in stream
        for sent in parse_event_stream(stream):
            assert sent.type == "message"
            event = EVENTS.validate_json(sent.data)
            assert event.model_dump_json(by_alias=True) != ""
            refuse_unknown(event)
            assert self.end is None
            assert bool(self.events) != isinstance(event, ag.RunStartedEvent)
            self.events.append(event)
            self._event(event)
        assert self.end is not None
        assert isinstance(self.end, ag.RunErrorEvent) or not self._open
        return self

    def _event(self, event: Any) -> None:
        match event:
            case ag.TextMessageStartEvent() | ag.ReasoningStartEvent():
                self._begin(event.type, event.message_id)
            case ag.ReasoningMessageStartEvent():
                self._begin(event.type, event.message_id)
                self.thoughts[event.message_id] = {"text": "", "metadata": event.metadata}
            case ag.TextMessageContentEvent():
                assert ("TEXT_MESSAGE", event.message_id) in self._open
                self.text += event.delta
            case ag.ReasoningMessageContentEvent():
                assert ("REASONING_MESSAGE", event.message_id) in self._open
                self.thoughts[event.message_id]["text"] += event.delta
            case ag.ReasoningEncryptedValueEvent():
                assert event.subtype == "message"
                self.thoughts[event.entity_id]["seal"] = event.encrypted_value
            case ag.ToolCallStartEvent():
                self._begin(event.type, event.tool_call_id)
                self.calls[event.tool_call_id] = {"name": event.tool_call_name, "arguments": ""}
            case ag.ToolCallArgsEvent():
                assert ("TOOL_CALL", event.tool_call_id) in self._open
                self.calls[event.tool_call_id]["arguments"] += event.delta
            case ag.TextMessageEndEvent() | ag.ReasoningMessageEndEvent() | ag.ReasoningEndEvent():
                self._open.remove((event.type.removesuffix("_END"), event.message_id))
            case ag.ToolCallEndEvent():
                self._open.remove(("TOOL_CALL", event.tool_call_id))
            case ag.CustomEvent():
                self.custom.append((event.name, event.value))
            case ag.RunFinishedEvent() | ag.RunErrorEvent():
                self.end = event
            case _:
                assert isinstance(event, ag.RunStartedEvent)

    def _begin(self, kind: str, id: str) -> None:
        opened = (kind.removesuffix("_START"), id)
        assert opened not in self._open
        self._open.add(opened)


def refuse_unknown(model: BaseModel) -> None:
    """Fail for a field that the protocol does not have, and for a null."""
    assert not model.model_extra, model
    for name in model.model_fields_set:
        value = getattr(model, name)
        assert value is not None, (model, name)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseModel):
                refuse_unknown(inner)
