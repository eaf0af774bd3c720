"""An observer that cannot harm what it observes."""

from contextlib import suppress

from chatnest.domain.ports import CallReport, Observer


class HarmlessObserver:
    """Tells *observer*, and drops what it raises: a metric must not cost a settlement."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def call_ended(self, report: CallReport) -> None:
        """An attempt at a provider ended."""
        with suppress(Exception):
            self._observer.call_ended(report)

    def refused(self, principal: str, profile: str, code: str) -> None:
        """A request was refused before any provider was called."""
        with suppress(Exception):
            self._observer.refused(principal, profile, code)

    def settlement_failed(self, hold_id: str) -> None:
        """The store did not take a settlement yet."""
        with suppress(Exception):
            self._observer.settlement_failed(hold_id)

    def settlement_abandoned(self, hold_id: str) -> None:
        """A settlement is tried no more."""
        with suppress(Exception):
            self._observer.settlement_abandoned(hold_id)
