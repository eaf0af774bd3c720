"""Ledger stores: one file each, all behind ``chatnest.domain.ports.LedgerStore``."""

from chatnest.adapters.storage.memory import MemoryStore

__all__ = ["MemoryStore"]
