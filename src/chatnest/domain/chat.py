"""The one use case: a guarded chat, over ports only.

    resolve the profile → compose and trim the prompt → bound its cost → admit → answer

Everything up to the admission happens in ``open``, before there is a stream: a refusal is an
ordinary return value and has cost one round trip to the store. The rest is the answer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chatnest.domain.admission import Admission, Admitted, Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.budget import BudgetRule, Demand, Hold, Reserve, Unit
from chatnest.domain.call import CallPlan, Surroundings
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.events import Started
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.messages import Message, Role
from chatnest.domain.observing import HarmlessObserver
from chatnest.domain.policy import ChatPolicy, UnknownPrice, budget_rules, rate_rules
from chatnest.domain.ports import (
    ChatProvider,
    Clock,
    LedgerStore,
    Observer,
    PriceBook,
    ProviderCall,
    Randomness,
    TokenCounter,
)
from chatnest.domain.profiles import Profile, lower
from chatnest.domain.prompt import Prompt, PromptFitter
from chatnest.domain.requests import ChatRequest, Principal
from chatnest.domain.settling import Settler
from chatnest.domain.trimming import PromptTooLarge, PromptUnit
from chatnest.domain.upkeep import charge_dead_holds, forget_history
from chatnest.domain.usage import Price
from chatnest.domain.usage_view import MOST_HISTORY_DAYS, UsageView, usage_step


@dataclass(frozen=True, slots=True)
class Target:
    """The provider and model that chats are sent to; ``context_window`` in tokens if known."""

    provider: ChatProvider
    model: str
    context_window: int | None = None


class ChatService:
    """Opens guarded chats, and keeps their accounts."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        target: Target,
        counter: TokenCounter,
        prices: PriceBook,
        clock: Clock,
        randomness: Randomness,
        observer: Observer,
        policy: ChatPolicy,
    ) -> None:
        self._store = store
        self._target = target
        self._prices = prices
        self._policy = policy
        harmless = HarmlessObserver(observer)
        self._settler = Settler(store, clock, harmless, policy.time_limits)
        fitter = PromptFitter(counter, target.model, target.context_window)
        self._around = Surroundings(
            target.provider, fitter, self._settler, clock, randomness, harmless
        )

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
        rules = budget_rules(self._policy, principal, profile)
        now = self._around.clock.now()
        return await self._store.transact(*usage_step(principal.id, profile, rules, now, days))

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
        model = self._model(request)
        messages = self._compose(request, profile)
        fitter = self._around.fitter
        prompt = await fitter.fit(messages, profile)
        if isinstance(prompt, PromptTooLarge):
            return _too_large(prompt)
        price = self._prices.price(self._target.provider.name, model)
        rules = self._rules(principal, profile, price)
        if isinstance(rules, Refusal):
            return rules
        started = Started(
            self._around.randomness.new_id(), model, profile.name, self._around.clock.now()
        )
        admission = self._admission(started, principal, profile, rules, prompt, price)
        decision = await self._settler.admit(admission)
        if isinstance(decision, Refusal) and not prompt.counted:
            counted = await fitter.fit_counted(messages, profile)
            if isinstance(counted, Prompt):
                finer = self._admission(started, principal, profile, rules, counted, price)
                if _would_fit(decision, finer.reserve.demand):
                    prompt, admission = counted, finer
                    decision = await self._settler.admit(admission)
        if isinstance(decision, Refusal):
            return decision
        return self._answer(started, request, profile, prompt, admission, decision)

    def _model(self, request: ChatRequest) -> str:
        if request.model not in (None, self._target.model):
            raise InvalidRequestError(
                f"no such model; there is: {self._target.model}", field="model"
            )
        return self._target.model

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

    def _rules(
        self, principal: Principal, profile: Profile, price: Price | None
    ) -> tuple[BudgetRule, ...] | Refusal:
        rules = budget_rules(self._policy, principal, profile)
        if price is not None:
            return rules
        unpriced = tuple(rule for rule in rules if rule.unit is not Unit.NANO_USD)
        if len(unpriced) < len(rules) and self._policy.unknown_price is UnknownPrice.REFUSE:
            return Refusal(RefusalCode.NOT_ALLOWED, "price")
        return unpriced

    def _admission(
        self,
        started: Started,
        principal: Principal,
        profile: Profile,
        rules: tuple[BudgetRule, ...],
        prompt: Prompt,
        price: Price | None,
    ) -> Admission:
        hold = Hold(
            id=f"{started.request_id}.1",
            request_id=started.request_id,
            principal=principal.id,
            profile=profile.name,
            provider=self._target.provider.name,
            model=started.model,
            lines=(),
            output_cap=prompt.output_cap,
            created_at=started.created_at,
            expires_at=started.created_at + self._policy.time_limits.lease_us,
        )
        demand = Demand(
            input_tokens=prompt.input_tokens,
            max_output_tokens=prompt.output_cap,
            min_output_tokens=profile.min_output_tokens,
            price=price,
        )
        return Admission(Reserve(hold, demand, rules), rate_rules(self._policy, principal, profile))

    def _answer(
        self,
        started: Started,
        request: ChatRequest,
        profile: Profile,
        prompt: Prompt,
        admission: Admission,
        admitted: Admitted,
    ) -> Answer:
        call = ProviderCall(
            request_id=started.request_id,
            model=started.model,
            messages=prompt.messages,
            max_output_tokens=admitted.hold.output_cap,
            temperature=profile.temperature,
            stop=request.stop,
            extra=request.extra,
        )
        plan = CallPlan(
            started=started,
            call=call,
            admission=admission,
            admitted=admitted,
            price=admission.reserve.demand.price,
            retry=self._policy.retry,
            time_limits=self._policy.time_limits,
        )
        return Answer(plan, self._around)


def _too_large(prompt: PromptTooLarge) -> Refusal:
    return Refusal(
        RefusalCode.REQUEST_TOO_LARGE,
        f"{prompt.unit}-request",
        unit=Unit.TOKENS if prompt.unit is PromptUnit.TOKENS else None,
        limit=max(0, prompt.limit),
        needed=prompt.needed,
    )


def _would_fit(refusal: Refusal, demand: Demand) -> bool:
    """Whether *demand* fits into the room that the refusal saw."""
    if refusal.unit is None or refusal.remaining is None:
        return False
    return demand.amount(refusal.unit, demand.min_output_tokens) <= refusal.remaining
