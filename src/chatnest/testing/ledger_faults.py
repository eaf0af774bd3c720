"""What ledger stores behind a network promise when it fails, beside the contract of all stores.

Subclass the suite, and give it three fixtures on one ledger that is empty at first: ``proxy``, a
:class:`~chatnest.testing.tcp_proxy.TcpProxy` in front of the server; ``store``, which reaches the
server through the proxy and waits for an answer no longer than a second or so; and ``direct``,
which goes around it::

    import pytest

    from chatnest.adapters.clock import SystemClock
    from chatnest.testing.ledger_faults import LedgerFaultsContract
    from chatnest.testing.tcp_proxy import TcpProxy

    class TestMyStoreUnderFaults(LedgerFaultsContract):
        @pytest.fixture
        async def proxy(self):
            async with TcpProxy("127.0.0.1", PORT) as proxy:
                yield proxy

        @pytest.fixture
        async def store(self, proxy):
            store = MyStore(f"my://127.0.0.1:{proxy.port}", SystemClock(), answer_us=500_000)
            yield store
            await store.aclose()

        @pytest.fixture
        async def direct(self, proxy):
            store = MyStore(f"my://127.0.0.1:{PORT}", SystemClock())
            yield store
            await store.aclose()

The clock has to be a real one: no other bounds a wait for a socket. Where the server can be ended
and started again on its port with its data, override ``restart`` with a fixture that returns an
async function which does so, without waiting for its clients; else that test is skipped. What the
server acknowledged it must have on its disk.

It runs as ``chatnest.testing.ledger`` does.
"""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from chatnest.domain.admission import Admitted
from chatnest.domain.budget import Account
from chatnest.domain.ledger import Change, Keys, LedgerPage
from chatnest.domain.ports import LedgerStore
from chatnest.domain.steps import (
    admit_step,
    settle_step,
)
from chatnest.testing.ledger_cases import (
    NOON,
    Ledger,
    at_once,
    call,
    exact,
    read,
    read_ledger,
    spent_and_held,
    together,
    used,
    writing,
)
from chatnest.testing.ledger_fault_cases import (
    DAY,
    LATE,
    LONGEST_WAIT_S,
    UNKNOWN,
    Unknown,
    answered,
    attempt,
    check,
    outcome,
    prepared,
    reading_left,
    recovered,
)
from chatnest.testing.ledger_races import CROWD, LEFT, adding_to
from chatnest.testing.ledger_reads import many_rows
from chatnest.testing.tcp_proxy import TcpProxy

ACCOUNT = DAY.account_at(NOON)

_STEPS = ("admit", "withdraw", "settle", "release", "expire", "retry", "renew", "forget")


class LedgerFaultsContract:
    """Whatever the network loses, no acknowledged write is lost and none happens twice."""

    @pytest.fixture
    def restart(self) -> Callable[[], Awaitable[None]]:
        """Ends the server and starts it again; to be overridden where that can be done."""
        pytest.skip("this suite cannot restart the server")

    @pytest.mark.parametrize("after", range(3))
    @pytest.mark.parametrize("name", _STEPS)
    async def test_a_step_whose_reply_is_lost_is_sent_again_and_applies_once(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy, name: str, after: int
    ) -> None:
        """The caller is told that the outcome is unknown, whichever of the replies was lost."""
        transaction, plain = await prepared(direct, name)
        await recovered(lambda: read(store, transaction[0]))
        proxy.lose_replies(after)
        answer = await attempt(store, transaction)
        assert after or answer is UNKNOWN
        await proxy.heal()
        possible = [plain.apply(*transaction), plain.apply(*transaction)]
        assert await answered(store, transaction) in possible
        assert await answered(store, transaction) == possible[1]
        rows = plain.everything()
        assert exact(await read(direct, rows)) == exact(plain.rows(rows))
        assert (await read_ledger(direct)).holds == plain.holds
        await check(direct)

    @pytest.mark.parametrize("after", range(4))
    async def test_a_store_never_repeats_a_step_by_itself(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy, after: int
    ) -> None:
        """Only its caller knows whether it may: an addition that is unknown happens once or not."""
        add = (Keys((LEFT,)), adding_to(LEFT, 1))
        assert await direct.transact(*add) == await answered(store, reading_left()) == 1
        proxy.lose_replies(after, times=1)
        known = await attempt(store, add)
        await proxy.heal()
        counted = await answered(store, reading_left())
        assert counted in ((1, 2) if known is UNKNOWN else (2,))
        assert await spent_and_held(direct, LEFT) == (counted, 0)

    async def test_a_batch_whose_reply_is_lost_is_sent_again_by_all(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy
    ) -> None:
        """Everyone's hold is there once, however their first commands were batched."""
        await recovered(store.now)
        proxy.lose_replies()
        sent = [admit_step(call(f"h{index}", DAY), NOON) for index in range(CROWD)]
        first = await at_once(*(attempt(store, each) for each in sent))
        assert set(map(type, first)) == {Unknown}
        await proxy.heal()
        decisions = await at_once(*(answered(store, each) for each in sent))
        assert [type(decision) for decision in decisions] == [Admitted] * CROWD
        assert await spent_and_held(direct, ACCOUNT) == (0, 10 * CROWD)
        assert len(await direct.due_holds(LATE, 2 * CROWD)) == CROWD
        await check(direct)

    async def test_additions_that_were_acknowledged_survive_cut_connections(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy
    ) -> None:
        """None of them is lost; of those with an unknown outcome, each counts once or not."""
        acknowledged = 0

        async def add() -> None:
            nonlocal acknowledged
            for _ in range(4):
                adding = store.transact(Keys((LEFT,)), adding_to(LEFT, 1))
                if await outcome(adding) is not UNKNOWN:
                    acknowledged += 1
                    if acknowledged % 20 == 5:
                        proxy.cut()

        await at_once(*(add() for _ in range(CROWD)))
        counted = await answered(store, reading_left())
        assert 0 < acknowledged <= counted <= 4 * CROWD
        assert await spent_and_held(direct, LEFT) == (counted, 0)

    async def test_each_hold_stands_once_when_connections_are_cut(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy
    ) -> None:
        """Every caller sends its commands until they are answered."""
        ended = 0

        async def live(index: int) -> None:
            nonlocal ended
            decision = await answered(store, admit_step(call(f"h{index}", DAY), NOON))
            assert isinstance(decision, Admitted)
            if index % 2:
                await answered(store, settle_step(decision.hold, used(7), NOON))
            ended += 1
            if ended % 10 == 5:
                proxy.cut()

        await at_once(*(live(index) for index in range(CROWD)))
        assert await spent_and_held(direct, ACCOUNT) == (7 * CROWD // 2, 10 * CROWD // 2)
        assert len((await read_ledger(direct)).holds) == CROWD
        await check(direct)

    @pytest.mark.parametrize("fault", ["stall", "refuse", "lose_replies"])
    async def test_a_server_that_does_not_answer_is_unavailable_until_it_does(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy, fault: str
    ) -> None:
        """Each question ends in time, a crowd's too; afterwards the store answers by itself."""
        await direct.transact(*writing([Account(LEFT, None, 1)]))
        await recovered(lambda: read_ledger(store))
        getattr(proxy, fault)()
        read_left = reading_left()
        crowd = [attempt(store, read_left) for _ in range(CROWD)]
        assert set(map(type, await at_once(*crowd))) == {Unknown}
        for asked in (
            store.due_holds(NOON, 1),
            store.closed_holds(NOON, 1),
            read_ledger(store),
            store.now(),
        ):
            assert await outcome(asked) is UNKNOWN
        assert await spent_and_held(direct, LEFT) == (1, 0)
        await proxy.heal()
        assert await answered(store, read_left) == 1
        assert await recovered(lambda: store.due_holds(NOON, 1)) == []
        assert await recovered(lambda: store.closed_holds(NOON, 1)) == []
        assert set((await recovered(lambda: read_ledger(store))).accounts) == {LEFT}
        assert await recovered(store.now) <= await direct.now()

    async def test_a_request_that_arrives_late_overwrites_nothing(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy
    ) -> None:
        """It was given up, and others have written since: it counts once, or not at all."""
        add = (Keys((LEFT,)), adding_to(LEFT, 1))
        assert await direct.transact(*add) == await answered(store, reading_left()) == 1
        proxy.delay()
        assert await attempt(store, add) is UNKNOWN
        assert await direct.transact(*add) == 2
        await proxy.heal()
        await answered(store, reading_left())
        for _ in range(CROWD):
            await direct.transact(*add)
        counted = await answered(store, reading_left())
        assert counted in (CROWD + 2, CROWD + 3)
        assert await spent_and_held(direct, LEFT) == (counted, 0)

    async def test_callers_that_leave_a_stalled_store_hold_nothing_up(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy
    ) -> None:
        """They go at once; those that stay are told, and everyone's command can be sent again."""
        await recovered(store.now)
        proxy.stall()
        sent = [admit_step(call(f"h{index}", DAY), NOON) for index in range(CROWD)]
        tasks = [asyncio.ensure_future(attempt(store, each)) for each in sent]
        with anyio.fail_after(LONGEST_WAIT_S):
            await proxy.fault_met()
            for task in tasks[::2]:
                task.cancel()
            await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks[::2])
        assert {type(task.result()) for task in tasks[1::2]} == {Unknown}
        await proxy.heal()
        decisions = await at_once(*(answered(store, each) for each in sent))
        assert [type(decision) for decision in decisions] == [Admitted] * CROWD
        assert await spent_and_held(direct, ACCOUNT) == (0, 10 * CROWD)
        await check(direct)

    async def test_a_snapshot_that_is_cut_off_says_so(
        self, store: LedgerStore, direct: LedgerStore, proxy: TcpProxy
    ) -> None:
        """It never ends early as if that were all."""
        rows = many_rows()
        await direct.transact(*writing(rows.accounts.values(), (), rows.holds.values()))

        async def read_and_cut() -> Ledger:
            pages: list[LedgerPage] = []
            async for page in store.snapshot():
                pages.append(page)
                proxy.cut()
            return together(pages)

        assert await outcome(read_and_cut()) in (UNKNOWN, rows)
        assert await recovered(lambda: read_ledger(store)) == rows

    async def test_acknowledged_writes_survive_a_restart_of_the_server(
        self,
        store: LedgerStore,
        direct: LedgerStore,
        restart: Callable[[], Awaitable[None]],
    ) -> None:
        """Under load; every caller's command is answered in the end, and applied once."""
        await direct.now()
        acknowledged = asyncio.Semaphore(0)

        async def live(index: int) -> None:
            for turn in range(4):
                admission = call(f"h{index} {turn}", DAY)
                decision = await answered(store, admit_step(admission, NOON))
                assert isinstance(decision, Admitted)
                acknowledged.release()
                if turn % 2:
                    await answered(store, settle_step(decision.hold, used(7), NOON))

        async def fail() -> None:
            for _ in range(CROWD + CROWD // 2):
                await acknowledged.acquire()
            await restart()

        await at_once(fail(), *(live(index) for index in range(CROWD)))
        keys = Keys((ACCOUNT,))
        rows = await answered(direct, (keys, lambda rows: Change(rows)))
        account = rows.accounts[ACCOUNT]
        assert (account.settled, account.held) == (2 * 7 * CROWD, 2 * 10 * CROWD)
        assert len((await recovered(lambda: read_ledger(direct))).holds) == 4 * CROWD
        await check(direct)
