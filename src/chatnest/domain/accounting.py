"""Turns what was seen of a call into what is charged for it.

What the provider reports is charged. Where it reports nothing, what was observed is: the prompt
and the output that came, by the tokenizer. Only a call that a provider provably did no work for
is released.
"""

from chatnest.domain.admission import Admitted
from chatnest.domain.attempt import Attempt
from chatnest.domain.budget import Balance, balances
from chatnest.domain.call import CallPlan, Surroundings
from chatnest.domain.closing import Closed, Settlement
from chatnest.domain.errors import Failure
from chatnest.domain.events import FinishReason, UsageReported
from chatnest.domain.live_target import Entry
from chatnest.domain.ports import CallReport
from chatnest.domain.preparing import Prepared
from chatnest.domain.steps import Ending, Release
from chatnest.domain.usage import NO_USAGE, TokenUsage


class CallAccount:
    """Closes the holds of one request's attempts, each exactly once."""

    def __init__(self, plan: CallPlan, around: Surroundings) -> None:
        self._plan = plan
        self._around = around
        self._rules = plan.first.admission.reserve.rules
        self._closed: Closed | None = None

    async def close(
        self, attempt: Attempt, failure: Failure | None, reason: FinishReason
    ) -> UsageReported:
        """Close the last attempt, and say what it used and what is left."""
        if self._closed is None:
            ending = await self._ending(attempt, failure, reason)
            self._closed = await self._around.settler.close(attempt.hold, ending)
            self._report(attempt, ending, failure, reason, self._closed)
        hold = attempt.hold if self._closed is None else self._closed.hold
        return UsageReported(
            usage=hold.usage or NO_USAGE,
            finish_reason=reason,
            cost_nano_usd=hold.cost_nano_usd,
            estimated=hold.estimated,
            balances=self._balances(),
        )

    async def renew(
        self, attempt: Attempt, failure: Failure, prepared: Prepared, entry: Entry
    ) -> Attempt | None:
        """Close a failed attempt and hold the next one; None where there is no room for it."""
        ending = await self._ending(attempt, failure, FinishReason.ERROR)
        retried = await self._around.settler.retry(attempt.hold, ending, prepared.admission)
        if retried is None:
            return None
        self._report(attempt, ending, failure, FinishReason.ERROR, retried.closed)
        if not isinstance(retried.decision, Admitted):
            self._closed = retried.closed
            return None
        self._rules = prepared.admission.reserve.rules
        now_us = self._around.clock.monotonic_us()
        return Attempt(prepared, entry, retried.decision.hold, attempt.number + 1, now_us)

    async def learn(self, attempt: Attempt) -> None:
        """Compare what the provider reports with our own count, of some calls alone."""
        if attempt.usage is not None and attempt.finish_reason is not None:
            prepared = attempt.prepared
            output = attempt.observed_output
            await prepared.live.fitter.learn(prepared.asked, output, attempt.usage)

    async def _ending(
        self, attempt: Attempt, failure: Failure | None, reason: FinishReason
    ) -> Ending:
        outcome = str(reason if failure is None else failure.kind)
        refused = failure is not None and not failure.billable
        seen = attempt.streamed or attempt.usage is not None
        if (refused or not attempt.sent) and not seen:
            return Release(outcome)
        usage, estimated = attempt.usage, False
        if usage is None:
            usage, estimated = await self._observed_usage(attempt), True
        return Settlement(usage, attempt.prepared.price, estimated, outcome)

    async def _observed_usage(self, attempt: Attempt) -> TokenUsage:
        prepared = attempt.prepared
        fitter = prepared.live.fitter
        try:
            return TokenUsage(
                input_tokens=await fitter.count(prepared.asked),
                output_tokens=await fitter.count_text(attempt.observed_output),
            )
        except Exception:
            # A tokenizer is anyone's code too. Without it nothing is known: charge the hold.
            demand = prepared.admission.reserve.demand
            return TokenUsage(demand.input_tokens, attempt.hold.output_cap)

    def _balances(self) -> tuple[Balance, ...]:
        """What is left, in the windows of the hold: the call is charged where it was held."""
        if self._closed is None or not self._closed.accounts:
            return self._plan.admitted.balances
        accounts = {account.key: account for account in self._closed.accounts}
        return balances(accounts, self._rules, self._closed.hold.created_at)

    def _report(
        self,
        attempt: Attempt,
        ending: Ending,
        failure: Failure | None,
        reason: FinishReason,
        closed: Closed | None,
    ) -> None:
        now_us = self._around.clock.monotonic_us()
        first_us = attempt.first_delta_us
        hold = attempt.hold
        self._around.observer.call_ended(
            CallReport(
                request_id=hold.request_id,
                attempt=attempt.number,
                principal=hold.principal,
                profile=hold.profile,
                provider=hold.provider,
                model=hold.model,
                usage=ending.usage if isinstance(ending, Settlement) else None,
                cost_nano_usd=None if closed is None else closed.hold.cost_nano_usd,
                estimated=isinstance(ending, Settlement) and ending.estimated,
                overrun=closed is not None and closed.overrun,
                finish_reason=reason,
                failure=failure,
                duration_us=now_us - attempt.started_us,
                time_to_first_token_us=None if first_us is None else first_us - attempt.started_us,
            )
        )
