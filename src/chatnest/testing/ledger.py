"""The contract of ledger stores: what every adapter of ``LedgerStore`` must pass, unchanged.

Subclass the suite and give it a ``store``, a fixture with an empty ledger::

    import pytest

    from chatnest.testing.ledger import LedgerStoreContract

    class TestMyStore(LedgerStoreContract):
        @pytest.fixture
        async def store(self):
            store = await MyStore.open("…")
            yield store
            await store.aclose()

Where a second store can be opened on the same ledger, override ``other_store`` with it too, and the
races run through both. What a store behind a network promises beside this is in
:mod:`chatnest.testing.ledger_faults`.

The suite runs under anyio's pytest plugin with ``anyio_mode = "auto"``, on asyncio. It needs
``pytest`` and ``hypothesis``, and ``pytest.register_assert_rewrite("chatnest.testing")`` in a
``conftest.py`` makes its failures readable.
"""

from chatnest.testing.ledger_calls import LedgerCallsContract
from chatnest.testing.ledger_history import LedgerHistoryContract
from chatnest.testing.ledger_races import LedgerRacesContract
from chatnest.testing.ledger_reads import LedgerReadsContract
from chatnest.testing.ledger_recount import LedgerRecountContract
from chatnest.testing.ledger_rows import LedgerRowsContract
from chatnest.testing.ledger_sequences import LedgerSequencesContract


class LedgerStoreContract(
    LedgerRowsContract,
    LedgerCallsContract,
    LedgerRacesContract,
    LedgerSequencesContract,
    LedgerReadsContract,
    LedgerHistoryContract,
    LedgerRecountContract,
):
    """Everything that a ledger store promises."""
