"""Ledger stores: one adapter each, all behind ``chatnest.domain.ports.LedgerStore``.

Those of servers are imported from their modules, since their drivers are optional.
"""

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.adapters.storage.sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore"]
