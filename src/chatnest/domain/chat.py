"""The one use case: a guarded chat, over ports only.

    resolve profile and route → compose and trim the prompt → take a place at a target
    → bound its cost → admit → answer

Everything up to the admission happens in ``open``, before there is a stream: a refusal is an
ordinary return value and has cost one round trip to the store. The rest is the answer's.
"""

from collections.abc import Sequence
from dataclasses import replace

from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.call import CallPlan, Surroundings
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.events import Started
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.messages import Message, Role
from chatnest.domain.observing import HarmlessObserver
from chatnest.domain.policy import ChatPolicy, RuleBook, TimeLimits
from chatnest.domain.ports import (
    Clock,
    LedgerStore,
    Observer,
    PriceBook,
    Randomness,
    TokenCounter,
)
from chatnest.domain.preparing import Preparation, Prepared
from chatnest.domain.profiles import Profile, lower
from chatnest.domain.prompt import Asked
from chatnest.domain.requests import ChatRequest, Principal
from chatnest.domain.routes import Route
from chatnest.domain.seats import Seat, take_seat
from chatnest.domain.settling import Settler
from chatnest.domain.switchboard import Switchboard
from chatnest.domain.tools import Tool
from chatnest.domain.upkeep import charge_dead_holds, forget_history
from chatnest.domain.usage_view import MOST_HISTORY_DAYS, UsageView, usage_step


class ChatService:
    """Opens guarded chats, and keeps their accounts.

    The first of *routes* answers requests that name no model.

    Raises:
        ConfigurationError: there is no route, or two have one name.
    """

    def __init__(
        self,
        *,
        store: LedgerStore,
        routes: Sequence[Route],
        counter: TokenCounter,
        prices: PriceBook,
        clock: Clock,
        randomness: Randomness,
        observer: Observer,
        policy: ChatPolicy,
    ) -> None:
        self._store = store
        self._prices = prices
        self._policy = policy
        self._rules = RuleBook(policy)
        harmless = HarmlessObserver(observer)
        self._settler = Settler(store, clock, harmless, _longest(policy.time_limits, routes))
        self._around = Surroundings(self._settler, clock, randomness, harmless)
        self._switchboard = Switchboard(routes, counter, clock, policy)

    @property
    def models(self) -> tuple[str, ...]:
        """The public names of the models that a request may ask for; the first is the usual one."""
        return self._switchboard.names

    async def open(self, principal: Principal, request: ChatRequest) -> Answer | Refusal:
        """Admit *request*, holding its worst case, or say why not.

        The answer must be closed, best as an async context manager.

        Raises:
            InvalidRequestError: the request names what does not exist, or says what it may not.
            StoreUnavailableError: the ledger did not answer; nothing was spent.
        """
        profile = self._profile(principal, request.profile)
        outcome = (
            profile
            if isinstance(profile, Refusal)
            else await self._admit(principal, request, self._lowered(profile, request))
        )
        if isinstance(outcome, Refusal):
            named = request.profile or self._default_profile(principal)
            self._around.observer.refused(principal.id, named, outcome.code)
        return outcome

    async def usage(
        self, principal: Principal, profile_name: str | None = None, *, days: int = 0
    ) -> UsageView:
        """What *principal* has used and has left, under a profile it may name.

        The view's history has the last *days* days, with today: 0 to 366.

        Raises:
            InvalidRequestError: no such profile, none that *principal* may name, or too many days.
            StoreUnavailableError: the ledger did not answer.
        """
        if not 0 <= days <= MOST_HISTORY_DAYS:
            raise InvalidRequestError(f"must lie between 0 and {MOST_HISTORY_DAYS}", field="days")
        profile = self._profile(principal, profile_name)
        if isinstance(profile, Refusal):
            raise InvalidRequestError("is not for this caller", field="profile")
        rules = self._rules.budgets(principal, profile)
        now = self._around.clock.now()
        return await self._store.transact(*usage_step(principal.id, profile, rules, now, days))

    async def count_tokens(
        self, model: str | None, messages: Sequence[Message], tools: tuple[Tool, ...] = ()
    ) -> int:
        """The tokens of a prompt at the preferred target of *model*, as they are estimated.

        Raises:
            InvalidRequestError: there is no such model.
        """
        target = self._switchboard.route(model).targets[0]
        return await target.fitter.count(Asked(messages, tools))

    async def check_store(self) -> None:
        """Pass where the ledger answers.

        Raises:
            StoreUnavailableError: it does not.
        """
        await self._store.transact(Keys(), lambda rows: Change(None))

    async def charge_dead_holds(self) -> int:
        """Charge holds whose owners are gone at their worst case; how many there were.

        By the store's clock, so that it does not matter on which machine this runs.

        Raises:
            StoreUnavailableError: the ledger did not answer; the next round charges them.
        """
        return await charge_dead_holds(self._store)

    async def forget_calls(self, kept_us: int, most: int) -> int:
        """Forget at most *most* calls that ended over *kept_us*, and a day, ago; how many.

        Raises:
            StoreUnavailableError: the ledger did not answer.
        """
        return await forget_history(self._store, kept_us, most)

    async def clock_skew_us(self) -> int:
        """How far this process's clock is ahead of the store's, give or take a round trip.

        Raises:
            StoreUnavailableError: the ledger did not answer.
        """
        asked_at = self._around.clock.now()
        store_now = await self._store.now()
        return (asked_at + self._around.clock.now()) // 2 - store_now

    async def drain(self, limit_us: int) -> int:
        """Wait for settlements under way, at most *limit_us*; how many did not end in time."""
        return await self._settler.drain(limit_us)

    def _profile(self, principal: Principal, name: str | None) -> Profile | Refusal:
        profile = self._named_profile(name or self._default_profile(principal))
        if principal.profiles is not None and profile.name not in principal.profiles:
            return Refusal(RefusalCode.NOT_ALLOWED, "profile")
        return profile

    def _named_profile(self, name: str) -> Profile:
        profile = self._policy.profiles.get(name)
        if profile is None:
            known = ", ".join(sorted(self._policy.profiles.by_name))
            raise InvalidRequestError(f"no such profile; there are: {known}", field="profile")
        return profile

    def _default_profile(self, principal: Principal) -> str:
        return principal.default_profile or self._policy.profiles.default

    def _lowered(self, profile: Profile, request: ChatRequest) -> Profile:
        try:
            return lower(profile, request.wishes)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error

    async def _admit(
        self, principal: Principal, request: ChatRequest, profile: Profile
    ) -> Answer | Refusal:
        route = self._switchboard.route(request.model)
        preparation = Preparation(
            Started(
                self._around.randomness.new_id(),
                route.name,
                profile.name,
                self._around.clock.now(),
            ),
            principal,
            request,
            profile,
            self._compose(request, profile),
            self._policy,
            self._rules,
            self._prices,
            route.time_limits,
        )
        seat = await take_seat(preparation, route.targets)
        if isinstance(seat, Refusal):
            return seat
        try:
            admitted = await self._hold(preparation, seat)
        except BaseException:
            seat.entry.leave()
            raise
        if isinstance(admitted, Refusal):
            seat.entry.leave()
            return admitted
        return Answer(admitted, self._around)

    async def _hold(self, preparation: Preparation, seat: Seat) -> CallPlan | Refusal:
        """Hold the worst case of the call, by tokenizer where its bound in bytes does not fit."""
        prepared = seat.prepared
        decision = await self._settler.admit(prepared.admission)
        if isinstance(decision, Refusal) and not prepared.prompt.counted:
            created_at = preparation.started.created_at
            finer = await preparation.fit(prepared.live, 1, created_at, counted=True)
            if isinstance(finer, Prepared) and _would_fit(decision, finer):
                prepared, decision = finer, await self._settler.admit(finer.admission)
        if isinstance(decision, Refusal):
            return decision
        if decision.hold.request_id != preparation.started.request_id:
            return Refusal(RefusalCode.DUPLICATE, "idempotency-key", balances=decision.balances)
        return CallPlan(preparation, seat.targets, prepared, seat.entry, decision)

    def _compose(self, request: ChatRequest, profile: Profile) -> Sequence[Message]:
        """The server's system prompt first, then the client's where it may send one."""
        allowed = self._policy.client_system_prompt
        for index, message in enumerate(request.messages):
            if message.role is Role.SYSTEM and not allowed:
                raise InvalidRequestError(
                    "this server does not take system messages from its clients",
                    field=f"messages[{index}].role",
                )
        prompts = (profile.system_prompt, request.system_prompt if allowed else None)
        system = (Message(Role.SYSTEM, prompt) for prompt in prompts if prompt)
        return (*system, *request.messages)


def _would_fit(refusal: Refusal, prepared: Prepared) -> bool:
    """Whether the call fits into the room that the refusal saw."""
    if refusal.unit is None or refusal.remaining is None:
        return False
    demand = prepared.admission.reserve.demand
    return demand.amount(refusal.unit, demand.min_output_tokens) <= refusal.remaining


def _longest(limits: TimeLimits, routes: Sequence[Route]) -> TimeLimits:
    """*limits* with the longest time that a call of any route may take: so long are leases kept."""
    totals_us = [route.time_limits.total_us for route in routes if route.time_limits is not None]
    return replace(limits, total_us=max(limits.total_us, *totals_us, 0))
