"""Which target a request begins at: the first of its route that can take it and has a place.

Judged before the ledger is asked, so that a request which waits for a place holds no money.
"""

from collections.abc import Sequence

from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.budget import Unit
from chatnest.domain.live_target import Entry, LiveTarget
from chatnest.domain.preparing import Preparation, Prepared
from chatnest.domain.trimming import PromptTooLarge, PromptUnit
from chatnest.domain.values import value


@value
class Seat:
    """A request that is ready for its first call: ``entry`` is its place, which must be left.

    ``targets`` are all that could take it, in the route's order.
    """

    targets: tuple[LiveTarget, ...]
    prepared: Prepared
    entry: Entry


async def take_seat(preparation: Preparation, route: Sequence[LiveTarget]) -> Seat | Refusal:
    """Take a place for the first call; what keeps the request from all targets, else.

    Where every target is taken it waits for the preferred one, as long as that allows.

    Raises:
        InvalidRequestError: no target can be told what the request says.
    """
    targets = _able(preparation, route)
    if not targets:
        return Refusal(RefusalCode.NOT_ALLOWED, "price")
    fitting: list[Prepared] = []
    too_large: PromptTooLarge | None = None
    for live in targets:
        prepared = await preparation.fit(live, 1, preparation.started.created_at)
        if isinstance(prepared, PromptTooLarge):
            too_large = too_large or prepared
            continue
        fitting.append(prepared)
        entry = live.enter()
        if entry is not None:
            return Seat(targets, prepared, entry)
    if too_large is not None and not fitting:
        return _too_large(too_large)
    return await _wait(targets, fitting)


def _able(preparation: Preparation, route: Sequence[LiveTarget]) -> tuple[LiveTarget, ...]:
    """The targets that can be told everything, and that are priced where they must be."""
    flaws = [(live, preparation.flaw(live)) for live in route]
    able = [live for live, flaw in flaws if flaw is None]
    if not able:
        raise next(flaw for _, flaw in flaws if flaw is not None)
    return tuple([live for live in able if preparation.is_priced(live)])


async def _wait(targets: tuple[LiveTarget, ...], fitting: Sequence[Prepared]) -> Seat | Refusal:
    ready = [prepared for prepared in fitting if prepared.live.ready_in_us() == 0]
    if not ready:
        soonest_us = min(prepared.live.ready_in_us() for prepared in fitting)
        return Refusal(RefusalCode.PROVIDER_DOWN, "provider", retry_after_us=max(1, soonest_us))
    live = ready[0].live
    entry = await live.wait_to_enter(live.target.max_wait_us)
    if entry is None:
        return _busy(live)
    return Seat(targets, ready[0], entry)


def _busy(live: LiveTarget) -> Refusal:
    return Refusal(
        RefusalCode.PROVIDER_BUSY,
        "provider-calls",
        unit=Unit.STREAMS,
        limit=live.target.max_concurrent,
        remaining=0,
        needed=1,
    )


def _too_large(prompt: PromptTooLarge) -> Refusal:
    return Refusal(
        RefusalCode.REQUEST_TOO_LARGE,
        f"{prompt.unit}-request",
        unit=Unit.TOKENS if prompt.unit is PromptUnit.TOKENS else None,
        limit=max(0, prompt.limit),
        needed=prompt.needed,
    )
