"""What keeps a ledger in order beside the calls themselves: leases, and history that ends."""

from collections.abc import Iterable
from dataclasses import replace

from chatnest.domain.budget import Account, Hold, HoldState
from chatnest.domain.folding import Done, Raised, fold, union
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.domain.ports import LedgerStore
from chatnest.domain.steps import Transaction, accounts_with, expire_step
from chatnest.domain.windows import US_PER_S, Period

# The least that history is kept: a settlement that was late for its hold still finds it.
LEAST_HISTORY_US = 24 * 3_600 * US_PER_S

# One step charges, or forgets, as many: short enough for nobody to notice.
_REAP_BATCH = 100
_PRUNE_BATCH = 200


def renew_step(holds: Iterable[Hold], expires_at: int) -> Transaction[int]:
    """Let *holds*, whose calls are alive, stand until *expires_at*; how many do.

    One that is closed stays as it is. One that the ledger has lost (a failover that came back
    without its last writes) is put back: its call goes on, and may still be charged.
    """
    alive = tuple(holds)

    def step(rows: Rows) -> Change[int]:
        accounts = dict(rows.accounts)
        renewed: list[Hold] = []
        for hold in alive:
            stored = rows.holds.get(hold.id, hold)
            if stored.state is not HoldState.HELD:
                continue
            if hold.id not in rows.holds:
                accounts.update(accounts_with(Rows(accounts, {}, rows.holds), hold))
            renewed.append(replace(stored, expires_at=max(expires_at, stored.expires_at)))
        changed = (row for key, row in accounts.items() if rows.accounts.get(key) != row)
        return Change(len(renewed), accounts=tuple(changed), holds=tuple(renewed))

    keys = dict.fromkeys(key for hold in alive for key in hold.account_keys)
    return Keys(accounts=tuple(keys), holds=tuple(hold.id for hold in alive)), step


def forget_step(holds: Iterable[Hold]) -> Transaction[int]:
    """Drop closed *holds* from the journal; how many there were.

    Their charges stay in their accounts, as carried. An account of a minute or an hour of which
    nothing else is left goes with them; days, months and totals are kept for good.
    """
    old = tuple(holds)

    def step(rows: Rows) -> Change[int]:
        accounts = dict(rows.accounts)
        closed = [hold for hold in rows.holds.values() if hold.state is not HoldState.HELD]
        for hold in closed:
            for line in hold.lines:
                account = accounts.get(line.account)
                if account is not None and line.charged is not None:
                    carried = account.carried + line.charged
                    accounts[line.account] = replace(account, carried=carried)
        touched = {line.account: None for hold in closed for line in hold.lines}
        kept = {key: accounts[key] for key in touched if key in accounts}
        gone = tuple(key for key, account in kept.items() if _is_spent_history(account))
        return Change(
            len(closed),
            accounts=tuple(row for key, row in kept.items() if key not in gone),
            forgotten_accounts=gone,
            forgotten_holds=tuple(hold.id for hold in closed),
        )

    keys = dict.fromkeys(key for hold in old for key in hold.account_keys)
    return Keys(accounts=tuple(keys), holds=tuple(hold.id for hold in old)), step


async def charge_dead_holds(store: LedgerStore) -> int:
    """Charge every hold that is due by the store's clock at its worst case; how many there were.

    Raises:
        StoreUnavailableError: the store did not answer; what was charged so far stays so.
        Exception: whatever the charging of a hold raised, after the others were charged.
    """
    charged, done = 0, _REAP_BATCH
    now = await store.now()
    while done == _REAP_BATCH:
        due = await store.due_holds(now, _REAP_BATCH)
        expiries = [expire_step(hold, now) for hold in due]
        outcomes = await store.transact(union(expiries), fold(expiries))
        failed = [outcome.error for outcome in outcomes if isinstance(outcome, Raised)]
        # Another node may have been faster: what did not change is not counted.
        done = len([each for each in outcomes if isinstance(each, Done) and each.result.accounts])
        charged += done
        if failed:
            raise failed[0]
    return charged


async def forget_history(store: LedgerStore, kept_us: int, most: int | None = None) -> int:
    """Forget at most *most* calls that ended more than *kept_us* ago; how many there were.

    By the store's clock, and never sooner than after a day: a process whose own clock is wrong
    would forget holds that a late settlement still has to find, and would charge again.

    Raises:
        StoreUnavailableError: the store did not answer; what was forgotten so far stays so.
    """
    return await prune(store, await store.now() - max(kept_us, LEAST_HISTORY_US), most)


async def prune(store: LedgerStore, before: int, most: int | None = None) -> int:
    """Forget calls that ended before *before*, at most *most*; how many there were.

    Raises:
        StoreUnavailableError: the store did not answer; what was forgotten so far stays so.
    """
    forgotten = 0
    while most is None or forgotten < most:
        batch = _PRUNE_BATCH if most is None else min(_PRUNE_BATCH, most - forgotten)
        keys, step = forget_step(await store.closed_holds(before, batch))
        if not keys.holds or not (done := await store.transact(keys, step)):
            break
        forgotten += done
    return forgotten


def _is_spent_history(account: Account) -> bool:
    return (
        account.key.period in (Period.MINUTE, Period.HOUR)
        and account.held == 0
        and account.carried == account.settled
    )
