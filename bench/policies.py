"""The pure part of a request: decoding, trimming, deciding, settling, encoding."""

from collections.abc import Callable, Iterator
from time import process_time
from timeit import Timer
from typing import Any
from zoneinfo import ZoneInfo

from chatnest.adapters.transport.chatnest import ChatNestDialect, ChatNestEncoder
from chatnest.domain.admission import Admission, Admitted, admit
from chatnest.domain.budget import Demand, Hold, Reserve
from chatnest.domain.closing import Settlement, settle
from chatnest.domain.events import TextDelta
from chatnest.domain.ledger import Change, Rows
from chatnest.domain.messages import Message, Role
from chatnest.domain.policy import ChatPolicy, RuleBook
from chatnest.domain.profiles import BALANCED
from chatnest.domain.requests import Principal
from chatnest.domain.steps import Transaction, admit_step
from chatnest.domain.trimming import trim
from chatnest.domain.usage import Price, TokenUsage

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_767_225_600_000_000
BODY = b'{"messages":[{"id":"1","role":"user","content":"What is the capital of France?"}]}'
SECONDS_EACH = 0.01
RUNS = 100


def time_policies() -> Iterator[tuple[str, float]]:
    """Each policy, and the microseconds that one decision takes: the best of many short runs.

    A short run may be left alone by whatever else the machine does.
    """
    for name, decide in _decisions().items():
        timer = Timer(decide, timer=process_time)
        loops, seconds = timer.autorange()
        loops = max(1, round(loops * SECONDS_EACH / seconds))
        yield name, min(timer.repeat(RUNS, loops)) / loops * 1e6


def _decisions() -> dict[str, Callable[[], object]]:
    dialect, encoder = ChatNestDialect(), ChatNestEncoder()
    history = [Message(role, "words " * 20) for role in (Role.USER, Role.ASSISTANT)] * 50
    weights = [25] * len(history)
    admission, local = _admission(ChatPolicy()), _admission(ChatPolicy(day_zone=BERLIN))
    empty = Rows({}, {}, {})
    admitted = admit(empty, admission, NOW).result
    assert isinstance(admitted, Admitted)
    change = admit(empty, admission, NOW)
    accounts = {account.key: account for account in change.accounts}
    price = Price(150_000_000, 600_000_000)
    settlement = Settlement(TokenUsage(20, 20), price, estimated=False, outcome="stop")
    tokens = [TextDelta(" token") for _ in range(20)]
    return {
        "decode a body": lambda: dialect.decode(BODY),
        "trim a hundred messages to six": lambda: trim(
            history, weights, max_messages=6, token_limit=1_000
        ),
        "admit: one quota, two budgets": lambda: admit(empty, admission, NOW),
        "the same for a day in Berlin, and its keys": lambda: _step(admit_step(local, NOW), empty),
        "settle": lambda: settle(accounts, admitted.hold, settlement, NOW),
        "encode twenty tokens as one batch": lambda: encoder.encode(tokens),
    }


def _step(transaction: Transaction[Any], rows: Rows) -> Change[Any]:
    _, step = transaction
    return step(rows)


def _admission(policy: ChatPolicy) -> Admission:
    principal = Principal("user:ada")
    hold = Hold("1.1", "1", principal.id, "balanced", "p", "m", (), 400, NOW, NOW + 1)
    demand = Demand(50, 400, 16, Price(150_000_000, 600_000_000))
    rules = RuleBook(policy)
    reserve = Reserve(hold, demand, rules.budgets(principal, BALANCED))
    return Admission(reserve, rules.rates(principal, BALANCED))
