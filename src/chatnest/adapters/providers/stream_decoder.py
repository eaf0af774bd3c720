"""What the decoders of all wires have in common: how a stream is taken in, and how it ends."""

from collections.abc import Iterable

from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import ProviderEvent


class StreamDecoder:
    """Turns the payloads of one stream into events in their legal order.

    ``ended`` is True after ``Finished``; ``failure`` is what to raise once the events before it
    were given. A wire says what one payload means, and what is held back until the end.
    """

    def __init__(self) -> None:
        self.ended = False
        self.failure: ProviderError | None = None

    def decode(self, payloads: Iterable[bytes]) -> list[ProviderEvent]:
        """The events of one read; often none. What follows the end is ignored."""
        events: list[ProviderEvent] = []
        try:
            for payload in payloads:
                if self.ended:
                    break
                self._take(payload, events)
        except ProviderError as failure:
            self.failure = failure
        return events

    def close(self) -> list[ProviderEvent]:
        """The last events of a stream whose connection is gone.

        An answer that gave the reason of its end is complete, whether or not the end was
        announced; any other was interrupted, which ``failure`` says.
        """
        if self.ended:
            return []
        if not self._is_complete():
            failure = Failure(FailureKind.INTERRUPTED)
            self.failure = ProviderError("the stream closed before its end", failure)
            return []
        return self._end()

    def _end(self) -> list[ProviderEvent]:
        self.ended = True
        return self._last_events()

    def _take(self, payload: bytes, events: list[ProviderEvent]) -> None:
        """Add what *payload* says to *events*; raise what cannot be read, or is an error."""
        raise NotImplementedError

    def _is_complete(self) -> bool:
        """Whether the answer has given the reason of its end."""
        raise NotImplementedError

    def _last_events(self) -> list[ProviderEvent]:
        """The usage, if it was reported, and the end."""
        raise NotImplementedError
