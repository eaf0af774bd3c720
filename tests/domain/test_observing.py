"""An observer that cannot harm."""

from typing import Any

import pytest

from chatnest.domain.observing import HarmlessObserver
from tests.domain.chat_world import Witness


class Shouting(Witness):
    def call_ended(self, report: Any) -> None:
        super().call_ended(report)
        raise ZeroDivisionError

    def refused(self, principal: str, profile: str, code: str) -> None:
        super().refused(principal, profile, code)
        raise ZeroDivisionError

    def settlement_failed(self, hold_id: str) -> None:
        super().settlement_failed(hold_id)
        raise ZeroDivisionError

    def settlement_abandoned(self, hold_id: str) -> None:
        super().settlement_abandoned(hold_id)
        raise ZeroDivisionError


@pytest.mark.parametrize("witness", [Witness(), Shouting()])
def test_everything_is_told_and_nothing_is_raised(witness: Witness) -> None:
    report: Any = object()
    observer = HarmlessObserver(witness)
    observer.call_ended(report)
    observer.refused("alice", "plain", "rate_limited")
    observer.settlement_failed("r.1")
    observer.settlement_abandoned("r.2")

    assert witness.reports == [report]
    assert witness.refusals == [("alice", "plain", "rate_limited")]
    assert witness.unsettled == ["r.1"]
    assert witness.abandoned == ["r.2"]
