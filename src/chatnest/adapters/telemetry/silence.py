"""An observer for those who want no reports."""

from chatnest.domain.ports import CallReport


class NullObserver:
    """An :class:`~chatnest.domain.ports.Observer` that does nothing."""

    def call_ended(self, report: CallReport) -> None:
        """Do nothing."""

    def refused(self, principal: str, profile: str, code: str) -> None:
        """Do nothing."""

    def settlement_failed(self, hold_id: str) -> None:
        """Do nothing."""

    def settlement_abandoned(self, hold_id: str) -> None:
        """Do nothing."""
