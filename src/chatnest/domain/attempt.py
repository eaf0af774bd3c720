"""What was seen of one provider call: the facts that it will be settled by."""

from chatnest.domain.budget import Hold
from chatnest.domain.errors import IllegalEventError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    Phase,
    ProviderBatch,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    next_phase,
)
from chatnest.domain.live_target import Entry
from chatnest.domain.preparing import Prepared
from chatnest.domain.usage import TokenUsage


class Attempt:
    """One call of a provider under its own hold. ``number`` counts from one.

    ``prepared`` is what is sent and to whom, ``entry`` its place there. ``sent`` turns True before
    anything can leave for the provider, and False again where the provider says that nothing has;
    ``streamed`` turns True with the first delta. ``usage`` is the
    provider's own report, None while there is none. ``unmetered_chars`` is how long
    :meth:`unmetered_output` is.
    """

    __slots__ = (
        "_metered",
        "_pieces",
        "entry",
        "finish_reason",
        "first_delta_us",
        "hold",
        "number",
        "phase",
        "prepared",
        "sent",
        "started_us",
        "stop_sequence",
        "unmetered_chars",
        "usage",
    )

    def __init__(
        self, prepared: Prepared, entry: Entry, hold: Hold, number: int, started_us: int
    ) -> None:
        self.prepared = prepared
        self.entry = entry
        self.hold = hold
        self.number = number
        self.started_us = started_us
        self.first_delta_us: int | None = None
        self.sent = False
        self.phase = Phase.STREAMING
        self.usage: TokenUsage | None = None
        self.finish_reason: FinishReason | None = None
        self.stop_sequence: str | None = None
        self._pieces: list[str] = []
        self._metered = 0
        self.unmetered_chars = 0

    @property
    def streamed(self) -> bool:
        """Whether any delta came."""
        return self.first_delta_us is not None

    @property
    def observed_output(self) -> str:
        """Everything that the model was seen to write, as one text to count."""
        return "".join(self._pieces)

    def unmetered_output(self) -> str:
        """What the model was seen to write since this was asked last."""
        new = self._pieces[self._metered :]
        self._metered = len(self._pieces)
        self.unmetered_chars = 0
        return new[0] if len(new) == 1 else "".join(new)

    def cut(self) -> None:
        """End the answer here: it is as long as what was held for it allows."""
        self.finish_reason = FinishReason.LENGTH

    def observe(self, batch: ProviderBatch, now_us: int) -> ProviderBatch:
        """Take *batch* in, and return the deltas in it that are to be relayed.

        Raises:
            IllegalEventError: the provider broke the table of legal orders. Its report and its
                end are forgotten: more came after them, so what was seen is charged.
        """
        for event in batch:
            if type(event) is TextDelta and self.phase is Phase.STREAMING:
                self._pieces.append(event.text)
                self.unmetered_chars += len(event.text)
            else:
                self._observe_other(event)
        deltas = batch
        if self.phase is not Phase.STREAMING:
            deltas = [event for event in batch if not isinstance(event, UsageReported | Finished)]
        if deltas and self.first_delta_us is None:
            self.first_delta_us = now_us
        return deltas

    def _observe_other(self, event: ProviderEvent) -> None:
        phase = next_phase(self.phase, event)
        if phase is None:
            self.usage = self.finish_reason = None
            raise IllegalEventError(f"{type(event).__name__} after the phase {self.phase}")
        self.phase = phase
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text) | ReasoningDelta(text=text):
                self._keep(text)
            case ToolCallDelta(name=name, arguments=arguments):
                self._keep((name or "") + arguments)
            case UsageReported(usage=usage):
                self.usage = usage
            case Finished(finish_reason=finish_reason, stop_sequence=stop_sequence):
                self.finish_reason, self.stop_sequence = finish_reason, stop_sequence

    def _keep(self, text: str) -> None:
        self._pieces.append(text)
        self.unmetered_chars += len(text)
