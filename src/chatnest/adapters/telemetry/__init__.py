"""Observers: what becomes of the reports on calls."""

from chatnest.adapters.telemetry.logs import LogObserver
from chatnest.adapters.telemetry.silence import NullObserver

__all__ = ["LogObserver", "NullObserver"]
