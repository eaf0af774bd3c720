"""One request, made ready for whichever target is to answer it.

What a target cannot be told, cannot be priced at, or has no room for is found out here, before
anything is held or sent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from hashlib import sha256

from chatnest.domain.admission import Admission
from chatnest.domain.budget import BudgetRule, Demand, Hold, Reserve, Unit
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.events import Started
from chatnest.domain.live_target import LiveTarget
from chatnest.domain.messages import Message
from chatnest.domain.policy import ChatPolicy, RuleBook, TimeLimits, UnknownPrice
from chatnest.domain.ports import PriceBook, ProviderCall
from chatnest.domain.profiles import Profile
from chatnest.domain.prompt import Asked, Prompt
from chatnest.domain.requests import ChatRequest, Principal
from chatnest.domain.trimming import PromptTooLarge
from chatnest.domain.usage import Price
from chatnest.domain.values import value


@value
class Prepared:
    """One call that could be made: to whom, what it says, and what is to be held for it.

    ``asked`` is what is sent, to be counted.
    """

    live: LiveTarget
    prompt: Prompt
    asked: Asked
    admission: Admission

    @property
    def price(self) -> Price | None:
        """What the target's model costs; None is unknown."""
        return self.admission.reserve.demand.price


@value
class Terms:
    """What a call at one target costs, and the budgets that it counts in.

    ``price`` None is unknown; ``rules`` None: it must be known.
    """

    price: Price | None
    rules: tuple[BudgetRule, ...] | None


@value
class Preparation:
    """Everything about one request that is the same at every target.

    ``messages`` is the conversation with the server's own system prompt.
    """

    started: Started
    principal: Principal
    request: ChatRequest
    profile: Profile
    messages: Sequence[Message]
    policy: ChatPolicy
    rules: RuleBook
    prices: PriceBook
    time_limits: TimeLimits
    _terms: dict[LiveTarget, Terms] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def flaw(self, live: LiveTarget) -> InvalidRequestError | None:
        """What of the request the target cannot be told; None where nothing."""
        able = live.target.provider.capabilities
        request = self.request
        if request.tools and not able.tools:
            return InvalidRequestError("this model takes no tools", field="tools")
        if not able.images:
            for index, message in enumerate(request.messages):
                if message.images:
                    field = f"messages[{index}].content"
                    return InvalidRequestError("this model takes no pictures", field=field)
        if request.extra and able.wire != request.extra_wire:
            return InvalidRequestError(
                "this model's provider has no such setting; leave it out, or choose another model",
                field=min(request.extra),
            )
        return None

    def is_priced(self, live: LiveTarget) -> bool:
        """Whether the target's price is known, or need not be."""
        return self._terms_at(live).rules is not None

    async def fit(
        self, live: LiveTarget, number: int, now: int, *, counted: bool = False
    ) -> Prepared | PromptTooLarge:
        """Attempt *number* at the target, its hold made at *now*; with *counted* by tokenizer.

        Raises:
            ValueError: the target's price must be known, and is not; see :meth:`is_priced`.
        """
        terms = self._terms_at(live)
        if terms.rules is None:
            raise ValueError("a target without a price cannot be prepared")
        asked = Asked(self.messages, self.request.tools, _text_of(self.request.extra))
        fit = live.fitter.fit_counted if counted else live.fitter.fit
        prompt = await fit(asked, self.profile)
        if isinstance(prompt, PromptTooLarge):
            return prompt
        is_whole = len(prompt.messages) == len(asked.messages)
        sent = asked if is_whole else replace(asked, messages=prompt.messages)
        demand = Demand(
            input_tokens=prompt.input_tokens,
            max_output_tokens=prompt.output_cap,
            min_output_tokens=self.profile.min_output_tokens,
            price=terms.price,
        )
        reserve = Reserve(self._hold(live, prompt.output_cap, number, now), demand, terms.rules)
        rates = self.rules.rates(self.principal, self.profile)
        return Prepared(live, prompt, sent, Admission(reserve, rates))

    def call(self, prepared: Prepared, output_cap: int) -> ProviderCall:
        """What the target is sent."""
        request = self.request
        return ProviderCall(
            request_id=self.started.request_id,
            model=prepared.live.target.model,
            messages=prepared.prompt.messages,
            max_output_tokens=output_cap,
            temperature=self.profile.temperature,
            stop=request.stop,
            extra=request.extra,
            tools=request.tools,
            tool_choice=request.tool_choice,
            top_p=request.top_p,
            end_user=request.end_user,
            connect_us=self.time_limits.connect_us,
        )

    def _hold(self, live: LiveTarget, output_cap: int, number: int, now: int) -> Hold:
        return Hold(
            id=f"{self._hold_name()}.{number}",
            request_id=self.started.request_id,
            principal=self.principal.id,
            profile=self.profile.name,
            provider=live.target.provider.name,
            model=live.target.model,
            lines=(),
            output_cap=output_cap,
            created_at=now,
            expires_at=now + self.time_limits.lease_us,
        )

    def _hold_name(self) -> str:
        """What the ids of the request's holds begin with.

        Of the caller's own key only a digest is stored, which no other caller's key can meet.
        """
        key = self.request.idempotency_key
        if key is None:
            return self.started.request_id
        named = f"{self.principal.id}\n{key}".encode("utf-8", "surrogatepass")
        return f"key-{sha256(named).hexdigest()[:32]}"

    def _terms_at(self, live: LiveTarget) -> Terms:
        """What a call at the target costs and counts in; found out once."""
        terms = self._terms.get(live)
        if terms is None:
            price = self.prices.price(live.target.provider.name, live.target.model)
            terms = self._terms[live] = Terms(price, self._rules(price))
        return terms

    def _rules(self, price: Price | None) -> tuple[BudgetRule, ...] | None:
        rules = self.rules.budgets(self.principal, self.profile)
        if price is not None:
            return rules
        unpriced = tuple(rule for rule in rules if rule.unit is not Unit.NANO_USD)
        must_be_known = self.policy.unknown_price is UnknownPrice.REFUSE
        return None if len(unpriced) < len(rules) and must_be_known else unpriced


def _text_of(extra: Mapping[str, object]) -> str:
    """The fields that are passed on, as the JSON that may be read by the model."""
    return json.dumps(dict(extra), ensure_ascii=False, default=str) if extra else ""
