"""Reports on calls as log lines: what was called and what it cost, never what was said.

A line is ``call_ended request_id=… principal=… input_tokens=…``. The same fields are on the record
as the dict ``record.chatnest``, for formatters that write JSON. What is not known is left out.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Final

from chatnest.domain.errors import Failure
from chatnest.domain.ports import CallReport
from chatnest.domain.usage import TokenUsage

LOGGER_NAME: Final = "chatnest.calls"

# A principal is the host app's text and a failure code the provider's: one that could end the
# line or look like another field is quoted.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+-]+")

Fields = Mapping[str, str | int]


class LogObserver:
    """An :class:`~chatnest.domain.ports.Observer` that writes to the logger ``chatnest.calls``.

    A call that went well and a refusal are INFO, a failed call and a late settlement WARNING; a
    settlement that is given up is an ERROR.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER_NAME)

    def call_ended(self, report: CallReport) -> None:
        """Write one line of *report*."""
        level = logging.INFO if report.failure is None else logging.WARNING
        if self._logger.isEnabledFor(level):
            self._write(level, "call_ended", _call_fields(report))

    def refused(self, principal: str, profile: str, code: str) -> None:
        """Write whose request was refused, and why."""
        if self._logger.isEnabledFor(logging.INFO):
            fields = {"principal": principal, "profile": profile, "code": code}
            self._write(logging.INFO, "refused", fields)

    def settlement_failed(self, hold_id: str) -> None:
        """Write which hold is not settled yet."""
        self._write(logging.WARNING, "settlement_failed", {"hold_id": hold_id})

    def settlement_abandoned(self, hold_id: str) -> None:
        """Write which hold will be charged at its worst case."""
        self._write(logging.ERROR, "settlement_abandoned", {"hold_id": hold_id})

    def _write(self, level: int, event: str, fields: Fields) -> None:
        text = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
        self._logger.log(
            level, "%s %s", event, text, extra={"chatnest": {"event": event, **fields}}
        )


def _call_fields(report: CallReport) -> Fields:
    fields: dict[str, str | int | None] = {
        "request_id": report.request_id,
        "attempt": report.attempt,
        "principal": report.principal,
        "profile": report.profile,
        "provider": report.provider,
        "model": report.model,
        "finish_reason": report.finish_reason.value,
        **_failure_fields(report.failure),
        **_usage_fields(report.usage),
        "cost_nano_usd": report.cost_nano_usd,
        "estimated": report.estimated,
        "overrun": report.overrun,
        "duration_us": report.duration_us,
        "time_to_first_token_us": report.time_to_first_token_us,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _failure_fields(failure: Failure | None) -> dict[str, str | int | None]:
    if failure is None:
        return {}
    return {"failure": failure.kind.value, "status": failure.status, "code": failure.code}


def _usage_fields(usage: TokenUsage | None) -> dict[str, str | int | None]:
    if usage is None:
        return {}
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _shown(value: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if _PLAIN.fullmatch(value) else json.dumps(value)
