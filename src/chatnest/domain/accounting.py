"""Turns what was seen of a call into what is charged for it.

What the provider reports is charged. Where it reports nothing, what was observed is: the prompt
and the output that came, by the tokenizer. Only a call that a provider provably did no work for
is released.
"""

from chatnest.domain.admission import Admitted
from chatnest.domain.attempt import Attempt
from chatnest.domain.call import CallPlan, Surroundings
from chatnest.domain.closing import Closed, Settlement, cost_of
from chatnest.domain.errors import Failure
from chatnest.domain.events import FinishReason, UsageReported
from chatnest.domain.foreseen import balances_after
from chatnest.domain.live_target import Entry
from chatnest.domain.ports import CallReport
from chatnest.domain.preparing import Prepared
from chatnest.domain.steps import Ending, Release
from chatnest.domain.usage import NO_USAGE, TokenUsage


class CallAccount:
    """Closes the holds of one request's attempts, each exactly once."""

    def __init__(self, plan: CallPlan, around: Surroundings) -> None:
        self._around = around
        self._left = plan.admitted.balances
        self._closed: Closed | None = None

    def known_ending(
        self, attempt: Attempt, failure: Failure | None, reason: FinishReason
    ) -> Ending | None:
        """How *attempt* is to be closed; None where its tokens must be counted first."""
        refused = failure is not None and not failure.billable
        seen = attempt.streamed or attempt.usage is not None
        if (refused or not attempt.sent) and not seen:
            return Release(_outcome(failure, reason))
        if attempt.usage is None:
            return None
        price = attempt.prepared.price
        return Settlement(attempt.usage, price, False, _outcome(failure, reason))

    async def ending(
        self, attempt: Attempt, failure: Failure | None, reason: FinishReason
    ) -> Ending:
        """How *attempt* is to be closed, its tokens counted where nobody has reported them."""
        known = self.known_ending(attempt, failure, reason)
        if known is not None:
            return known
        usage = await self._observed_usage(attempt)
        return Settlement(usage, attempt.prepared.price, True, _outcome(failure, reason))

    def report(self, attempt: Attempt, ending: Ending, reason: FinishReason) -> UsageReported:
        """What the last attempt, which ends so, used and leaves; its ledger need not know yet."""
        if self._closed is not None:
            hold = self._closed.hold
            usage = hold.usage or NO_USAGE
            return UsageReported(usage, reason, hold.cost_nano_usd, hold.estimated, self._left)
        left = balances_after(self._left, attempt.hold, ending)
        if isinstance(ending, Release):
            return UsageReported(NO_USAGE, reason, 0, balances=left)
        return UsageReported(ending.usage, reason, cost_of(ending), ending.estimated, left)

    async def close(
        self, attempt: Attempt, ending: Ending, failure: Failure | None, reason: FinishReason
    ) -> None:
        """Close the last attempt in the ledger, if it is not closed yet."""
        if self._closed is None:
            self._closed = await self._around.settler.close(attempt.hold, ending)
            self._report(attempt, ending, failure, reason, self._closed)

    async def renew(
        self, attempt: Attempt, failure: Failure, prepared: Prepared, entry: Entry
    ) -> Attempt | None:
        """Close a failed attempt and hold the next one; None where there is no room for it."""
        ending = await self.ending(attempt, failure, FinishReason.ERROR)
        retried = await self._around.settler.retry(attempt.hold, ending, prepared.admission)
        if retried is None:
            return None
        self._report(attempt, ending, failure, FinishReason.ERROR, retried.closed)
        if not isinstance(retried.decision, Admitted):
            self._closed, self._left = retried.closed, retried.decision.balances
            return None
        self._left = retried.decision.balances
        now_us = self._around.clock.monotonic_us()
        return Attempt(prepared, entry, retried.decision.hold, attempt.number + 1, now_us)

    async def learn(self, attempt: Attempt) -> None:
        """Compare what the provider reports with our own count, of some calls alone."""
        if attempt.usage is not None and attempt.finish_reason is not None:
            prepared = attempt.prepared
            output = attempt.observed_output
            await prepared.live.fitter.learn(prepared.asked, output, attempt.usage)

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


def _outcome(failure: Failure | None, reason: FinishReason) -> str:
    """What the journal says of how a call ended."""
    return str(reason if failure is None else failure.kind)
