"""The output of a response as it grows: which items there are, and what is said of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from chatnest.adapters.transport.openai_responses_frames import Frames, Pieces
from chatnest.adapters.transport.openai_responses_items import (
    PARTS,
    CallItem,
    Item,
    MessageItem,
    PartKind,
    ReasoningItem,
    Status,
)
from chatnest.domain.events import ReasoningDelta, ToolCallDelta

# What each event about such a part says beside its text.
_MORE: Final[Mapping[PartKind, Mapping[str, object]]] = MappingProxyType(
    {"output_text": {"logprobs": ()}, "refusal": {}, "reasoning_text": {}}
)
_MORE_JSON: Final[Mapping[PartKind, bytes]] = MappingProxyType(
    {"output_text": b',"logprobs":[]', "refusal": b"", "reasoning_text": b""}
)
# The field that has the whole text, in the event that ends a part.
_TEXT_FIELDS: Final[Mapping[PartKind, str]] = MappingProxyType(
    {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
)


@dataclass(slots=True)
class _OpenPart:
    kind: PartKind
    place: dict[str, object]
    pieces: Pieces


@dataclass(slots=True)
class _OpenCall:
    item: CallItem
    place: dict[str, object]
    pieces: Pieces


class Output:
    """Turns deltas into items, and tells *frames* of each step.

    A message, or a thought, is open until something else begins. Calls are open until the answer
    ends, because their pieces may come in turns. Only *with_seals* are thoughts given with what a
    client needs to return them.
    """

    def __init__(self, frames: Frames, response_id: str, with_seals: bool) -> None:
        self.items: list[Item] = []
        self._frames = frames
        self._response_id = response_id
        self._with_seals = with_seals
        self._item: MessageItem | ReasoningItem | None = None
        self._item_place: dict[str, object] = {}
        self._part: _OpenPart | None = None
        self._calls: dict[int, _OpenCall] = {}

    def say(self, kind: PartKind, text: str) -> None:
        """*text* is the next piece of a part of this *kind*."""
        part = self._part
        if part is None or part.kind != kind:
            part = self._open_part(kind)
        self._frames.piece(part.pieces, text)

    def think(self, thought: ReasoningDelta) -> None:
        """A piece of a thought; its seal ends it."""
        if thought.text:
            self.say("reasoning_text", thought.text)
        if thought.signature is None:
            return
        if thought.redacted:
            self._close_item("completed")
        if self._with_seals:
            item = self._open_thought()
            item.encrypted_content = thought.signature
            if thought.redacted:
                item.content = msgspec.UNSET
        if isinstance(self._item, ReasoningItem):
            self._close_item("completed")

    def call(self, delta: ToolCallDelta) -> None:
        """A piece of a call, which begins with the first piece of its index."""
        opened = self._calls.get(delta.index)
        if opened is None:
            opened = self._calls[delta.index] = self._open_call(delta)
        if delta.arguments:
            self._frames.piece(opened.pieces, delta.arguments)

    def close(self, status: Status) -> None:
        """Nothing more comes: what is open ends, with *status*."""
        self._close_item(status)
        for opened in self._calls.values():
            item = opened.item
            item.arguments, item.status = opened.pieces.text, status
            self._frames.event(
                "response.function_call_arguments.done", **opened.place, arguments=item.arguments
            )
            self._done(item, opened.place)
        self._calls.clear()

    def _open_part(self, kind: PartKind) -> _OpenPart:
        self._close_part()
        item = self._open_thought() if kind == "reasoning_text" else self._open_message()
        place = self._item_place | {"content_index": len(item.content or ())}
        self._frames.event("response.content_part.added", **place, part=PARTS[kind](""))
        pieces = Pieces(f"response.{kind}.delta", place, _MORE_JSON[kind])
        self._part = _OpenPart(kind, place, pieces)
        return self._part

    def _open_message(self) -> MessageItem:
        if not isinstance(self._item, MessageItem):
            self._close_item("completed")
            self._item = MessageItem(id=self._next_id("msg"))
            self._item_place = self._added(self._item)
        return self._item

    def _open_thought(self) -> ReasoningItem:
        if not isinstance(self._item, ReasoningItem):
            self._close_item("completed")
            self._item = ReasoningItem(id=self._next_id("rs"))
            self._item_place = self._added(self._item)
        return self._item

    def _open_call(self, delta: ToolCallDelta) -> _OpenCall:
        self._close_item("completed")
        item = CallItem(id=self._next_id("fc"), call_id=delta.id or "", name=delta.name or "")
        place = self._added(item)
        return _OpenCall(item, place, Pieces("response.function_call_arguments.delta", place))

    def _close_part(self) -> None:
        part, item = self._part, self._item
        self._part = None
        if part is None or item is None or item.content is msgspec.UNSET:
            return
        whole = PARTS[part.kind](part.pieces.text)
        item.content.append(whole)
        told = {_TEXT_FIELDS[part.kind]: part.pieces.text, **_MORE[part.kind]}
        self._frames.event(f"response.{part.kind}.done", **part.place, **told)
        self._frames.event("response.content_part.done", **part.place, part=whole)

    def _close_item(self, status: Status) -> None:
        self._close_part()
        if self._item is not None:
            self._item.status = status
            self._done(self._item, self._item_place)
            self._item = None

    def _added(self, item: Item) -> dict[str, object]:
        """*item* begins; where it is."""
        index = len(self.items)
        self.items.append(item)
        self._frames.event("response.output_item.added", output_index=index, item=item)
        return {"item_id": item.id, "output_index": index}

    def _done(self, item: Item, place: Mapping[str, object]) -> None:
        index = place["output_index"]
        self._frames.event("response.output_item.done", output_index=index, item=item)

    def _next_id(self, prefix: str) -> str:
        return f"{prefix}_{self._response_id}_{len(self.items)}"
