"""The first part of the ledger stores' contract: rows come back as they were written."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chatnest.domain.budget import Account, AccountKey, Hold, HoldLine, HoldState, Unit
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, RateKey, Rows
from chatnest.domain.ports import LedgerStore
from chatnest.domain.rate_limit import RateState
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import (
    NOON,
    closed,
    exact,
    keys_of,
    open_hold,
    read,
    writing,
)
from chatnest.testing.strategies import usages

LARGEST = 2**62

A_KEY = AccountKey("ann", Unit.TOKENS, Period.DAY, NOON)
A_RATE = RateKey("ann", "requests")
NO_ROWS = Rows({}, {}, {})

# One ledger serves all examples of a test: opening a durable one for each would take minutes.
# Several stores inherit each test: every class is its own executor. To explain a failure would take
# a thousand further runs of it.
on_one_ledger = settings(
    deadline=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def counts() -> st.SearchStrategy[int]:
    """Amounts and instants, up to what a signed integer of 64 bits has room to add."""
    return st.integers(0, LARGEST)


def texts() -> st.SearchStrategy[str]:
    """Any text but NUL and lone surrogates, which no request gets past the edge."""
    kept = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    return st.text(kept, max_size=12)


def account_keys() -> st.SearchStrategy[AccountKey]:
    """Keys of any unit and period."""
    return st.builds(AccountKey, texts(), st.sampled_from(Unit), st.sampled_from(Period), counts())


def accounts() -> st.SearchStrategy[Account]:
    """Accounts with any amounts, possible or not: a store knows nothing of budgets."""
    limits = st.none() | counts()
    return st.builds(Account, account_keys(), limits, counts(), counts(), counts())


def holds() -> st.SearchStrategy[Hold]:
    """Holds with any value in any field."""
    lines = st.lists(
        st.builds(HoldLine, account_keys(), counts(), st.none() | counts()), max_size=4
    )
    return st.builds(
        Hold,
        id=texts(),
        request_id=texts(),
        principal=texts(),
        profile=texts(),
        provider=texts(),
        model=texts(),
        lines=lines.map(tuple),
        output_cap=counts(),
        created_at=counts(),
        expires_at=counts(),
        state=st.sampled_from(HoldState),
        closed_at=st.none() | counts(),
        usage=st.none() | usages(LARGEST, LARGEST),
        cost_nano_usd=st.none() | counts(),
        estimated=st.booleans(),
        outcome=st.none() | texts(),
    )


class LedgerRowsContract:
    """Reading, writing, atomicity of one step, and the holds that are due."""

    async def test_what_was_never_written_is_missing(self, store: LedgerStore) -> None:
        """A step is told of absence by absence, not by an empty row."""
        rows = await read(store, Keys((A_KEY,), (A_RATE,), ("nobody's",)))
        assert exact(rows) == exact(NO_ROWS)

    @on_one_ledger
    @given(account=accounts())
    async def test_an_account_comes_back(self, store: LedgerStore, account: Account) -> None:
        """Every field, at any size."""
        await store.transact(*writing(accounts=[account]))
        rows = await read(store, Keys(accounts=(account.key,)))
        assert exact(rows) == exact(Rows({account.key: account}, {}, {}))

    @on_one_ledger
    @given(key=st.builds(RateKey, texts(), texts()), state=st.builds(RateState, counts(), counts()))
    async def test_a_rate_state_comes_back(
        self, store: LedgerStore, key: RateKey, state: RateState
    ) -> None:
        """Every field, at any size."""
        await store.transact(*writing(rates=[(key, state)]))
        rows = await read(store, Keys(rates=(key,)))
        assert exact(rows) == exact(Rows({}, {key: state}, {}))

    @on_one_ledger
    @given(hold=holds())
    async def test_a_hold_comes_back(self, store: LedgerStore, hold: Hold) -> None:
        """Every field, at any size, set or None."""
        await store.transact(*writing(holds=[hold]))
        rows = await read(store, Keys(holds=(hold.id,)))
        assert exact(rows) == exact(Rows({}, {}, {hold.id: hold}))

    async def test_every_member_of_every_enumeration_comes_back(self, store: LedgerStore) -> None:
        """As the member, which its string merely equals."""
        keys = [AccountKey("ann", unit, period, NOON) for unit, period in product(Unit, Period)]
        lines = tuple(HoldLine(key, 1) for key in keys)
        written = Rows(
            {key: Account(key, 1) for key in keys},
            {},
            {
                state.value: replace(open_hold(state.value, NOON), state=state, lines=lines)
                for state in HoldState
            },
        )
        await store.transact(*writing(written.accounts.values(), (), written.holds.values()))
        assert exact(await read(store, Keys(tuple(keys), (), tuple(written.holds)))) == exact(
            written
        )

    async def test_a_later_write_replaces_the_whole_row(self, store: LedgerStore) -> None:
        """What was set before may be None again."""
        full = replace(closed(open_hold("h", NOON)), outcome="stop", cost_nano_usd=7)
        bare = replace(open_hold("h", NOON + 1), lines=(HoldLine(A_KEY, 3),))
        await store.transact(
            *writing([Account(A_KEY, 9, 5, 4)], [(A_RATE, RateState(8, 2))], [full])
        )
        await store.transact(*writing([Account(A_KEY, None)], [(A_RATE, RateState(1))], [bare]))
        rows = await read(store, Keys((A_KEY,), (A_RATE,), ("h",)))
        expected = Rows({A_KEY: Account(A_KEY, None)}, {A_RATE: RateState(1)}, {"h": bare})
        assert exact(rows) == exact(expected)

    async def test_a_step_sees_the_rows_that_it_named_and_no_others(
        self, store: LedgerStore
    ) -> None:
        """A key that is named twice is one row."""
        other = replace(A_KEY, scope="bob")
        both = [Account(A_KEY, 1), Account(other, 2)]
        await store.transact(*writing(both, [(A_RATE, RateState(1))], [open_hold("h", NOON)]))
        rows = await read(store, Keys(accounts=(other, other)))
        assert exact(rows) == exact(Rows({other: both[1]}, {}, {}))

    async def test_keys_that_look_alike_are_different_rows(self, store: LedgerStore) -> None:
        """Keys are compared code point by code point, and never joined ambiguously."""
        scopes = ["", "a", "A", "a ", " a", "é", "e\u0301", "a:b", "a/b", "a|b", "{a}", "%", "_"]
        pairs = [("a", "b:c"), ("a:b", "c"), ("", "a"), ("a", "")]
        states = {RateKey(*pair): RateState(index) for index, pair in enumerate(pairs)}
        by_key = {
            AccountKey(scope, unit, period, start): Account(
                AccountKey(scope, unit, period, start), index
            )
            for index, (scope, unit, period, start) in enumerate(
                product(scopes, Unit, (Period.MINUTE, Period.TOTAL), (0, 1))
            )
        }
        by_id = {scope: replace(open_hold(scope, NOON), model=f"model {scope}") for scope in scopes}
        await store.transact(*writing(by_key.values(), states.items(), by_id.values()))
        rows = await read(store, Keys(tuple(by_key), tuple(states), tuple(by_id)))
        assert exact(rows) == exact(Rows(by_key, states, by_id))

    async def test_the_result_of_a_step_is_returned(self, store: LedgerStore) -> None:
        """As it is, whether or not anything was named or written."""
        result = object()
        assert await store.transact(Keys(), lambda rows: Change(result)) is result

    async def test_a_step_that_raises_writes_nothing(self, store: LedgerStore) -> None:
        """What it raised reaches its caller as it is, and the store goes on."""
        await store.transact(*writing([Account(A_KEY, 1)]))
        error = LookupError("the step's own")

        def fail(rows: Rows) -> Change[None]:
            raise error

        with pytest.raises(LookupError) as caught:
            await store.transact(Keys((A_KEY,), (), ("h",)), fail)
        assert caught.value is error
        rows = await read(store, Keys((A_KEY,), (), ("h",)))
        assert exact(rows) == exact(Rows({A_KEY: Account(A_KEY, 1)}, {}, {}))
        await store.transact(*writing([Account(A_KEY, 2)]))
        rows = await read(store, Keys((A_KEY,)))
        assert exact(rows) == exact(Rows({A_KEY: Account(A_KEY, 2)}, {}, {}))

    @pytest.mark.parametrize("stray", ["account", "rate", "hold"])
    async def test_a_write_that_was_not_named_is_an_error(
        self, store: LedgerStore, stray: str
    ) -> None:
        """The step has not seen that row, so nothing of its change is written."""
        named = Keys(
            () if stray == "account" else (A_KEY,),
            () if stray == "rate" else (A_RATE,),
            () if stray == "hold" else ("h",),
        )
        change = Change(
            None, (Account(A_KEY, 1),), ((A_RATE, RateState(1)),), (open_hold("h", NOON),)
        )
        with pytest.raises(ValueError, match="named"):
            await store.transact(named, lambda rows: change)
        assert exact(await read(store, keys_of(change))) == exact(NO_ROWS)
        assert not await store.due_holds(NOON, 9)

    async def test_a_large_change_is_written_whole(self, store: LedgerStore) -> None:
        """A thousand rows of each kind, in one step and in one answer."""
        names = [f"scope {index}" for index in range(1_000)]
        many = Rows(
            {key: Account(key, 1) for key in (replace(A_KEY, scope=name) for name in names)},
            {RateKey(name, "requests"): RateState(1) for name in names},
            {name: open_hold(name, NOON) for name in names},
        )
        await store.transact(
            *writing(many.accounts.values(), many.rates.items(), many.holds.values())
        )
        keys = Keys(tuple(many.accounts), tuple(many.rates), tuple(many.holds))
        assert exact(await read(store, keys)) == exact(many)
        assert len(await store.due_holds(NOON, 2_000)) == 1_000

    @on_one_ledger
    @given(
        expiries=st.lists(st.integers(1, 5), max_size=6),
        closings=st.sets(st.integers(0, 5)),
        now=st.integers(0, 6),
        most=st.integers(0, 7),
    )
    async def test_due_are_the_open_holds_whose_time_has_come(
        self, store: LedgerStore, expiries: list[int], closings: set[int], now: int, most: int
    ) -> None:
        """The longest due first, no more than asked for; the instant itself is due."""
        opened = [open_hold(f"h{index}", at) for index, at in enumerate(expiries)]
        earlier = [closed(open_hold(f"h{index}", 0)) for index in range(len(expiries), 6)]
        await store.transact(*writing(holds=opened + earlier))
        ended = [closed(hold) for index, hold in enumerate(opened) if index in closings]
        await store.transact(*writing(holds=ended))
        due = await store.due_holds(now, most)
        stand = [hold for index, hold in enumerate(opened) if index not in closings]
        late = [hold for hold in stand if hold.expires_at <= now]
        assert [hold.expires_at for hold in due] == sorted(h.expires_at for h in late)[:most]
        assert len({hold.id for hold in due}) == len(due)
        assert {repr(hold) for hold in due} <= {repr(hold) for hold in late}

    async def test_a_hold_whose_lease_is_renewed_is_due_later(self, store: LedgerStore) -> None:
        """The instant that is stored last counts, once."""
        for expires_at in (5, 9, 5, 7):
            await store.transact(*writing(holds=[open_hold("h", expires_at)]))
        assert not await store.due_holds(6, 9)
        assert [hold.expires_at for hold in await store.due_holds(9, 9)] == [7]

    async def test_a_closed_store_is_unavailable(self, store: LedgerStore) -> None:
        """Closing twice is closing once; no step runs any more."""
        await store.aclose()
        await store.aclose()
        seen: list[Rows] = []

        def look(rows: Rows) -> Change[None]:
            seen.append(rows)
            return Change(None)

        with pytest.raises(StoreUnavailableError):
            await store.transact(Keys(), look)
        with pytest.raises(StoreUnavailableError):
            await store.due_holds(NOON, 1)
        assert seen == []
