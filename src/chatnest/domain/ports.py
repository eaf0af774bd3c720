"""Every port: what the core needs from the outside, as protocols.

Each port has one contract suite in ``chatnest.testing`` that all of its adapters pass.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import Protocol, TypeVar

from chatnest.domain.budget import Hold
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import Failure
from chatnest.domain.events import FinishReason, ProviderBatch
from chatnest.domain.ledger import Keys, LedgerPage, Step
from chatnest.domain.messages import Message
from chatnest.domain.tools import Tool, ToolChoice
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.values import value

T = TypeVar("T")


@value
class ProviderCall:
    """One attempt at a provider.

    ``max_output_tokens`` is the cap that is paid for: a provider must be sent it. ``extra`` holds
    fields of the client's request that are passed on as they came; they are of the provider's own
    wire. ``connect_us`` is how long it may take to connect, in microseconds; None leaves it to the
    provider.
    """

    request_id: str
    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    top_p: float | None = None
    end_user: str | None = None
    connect_us: int | None = None


ProviderStream = AbstractAsyncContextManager[AsyncIterator[ProviderBatch]]


class ChatProvider(Protocol):
    """Streams answers from a model.

    Every adapter passes the suite in ``chatnest.testing.providers``.
    """

    @property
    def name(self) -> str:
        """The name that the configuration and the journal use."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for; a call never holds anything else."""

    def stream(
        self, call: ProviderCall
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderBatch]]:
        """Open one call; leaving the context closes its connection, whatever came so far.

        The iterator gives non-empty batches of events in their legal order, one batch for each
        read from the network, and ends after ``Finished``. The adapter never retries.

        A call that is cancelled is charged for its prompt, unless the ``CancelledError`` has a
        ``ProviderError`` as its cause whose failure is not billable: nothing of it had left.

        Raises:
            ProviderError: on entering or while iterating; classified, with the cause attached.
        """

    async def aclose(self) -> None:
        """Give back everything that the provider holds open. May be called twice."""


class LedgerReads(Protocol):
    """What can be asked of a ledger beside its steps."""

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        """At most *most* open holds with ``expires_at <= now``, the longest due first.

        Raises:
            StoreUnavailableError: the store did not answer.
        """

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        """At most *most* holds that are not open, with ``closed_at < before``; the oldest first.

        Raises:
            StoreUnavailableError: the store did not answer.
        """

    def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        """The whole ledger in pages, as of one instant: every account and every hold.

        Holds that are not open and were made before *since* are left out. Each hold comes once;
        an account may come again, and then the later one counts. Nobody is kept waiting by it.

        Raises:
            StoreUnavailableError: while iterating; the store did not answer, or its history was
                pruned meanwhile.
        """

    async def now(self) -> int:
        """The store's own wall clock, in microseconds since the Unix epoch.

        Processes that share the store share it, however their own clocks differ.

        Raises:
            StoreUnavailableError: the store did not answer.
        """

    async def aclose(self) -> None:
        """Give back everything that the store holds open. May be called twice."""


class LedgerStore(LedgerReads, Protocol):
    """Keeps accounts, rate states and holds, and changes them in atomic steps.

    Every wait has a limit: a store that cannot answer says so. Every adapter passes the suite in
    ``chatnest.testing.ledger``.
    """

    def transact(self, keys: Keys, step: Step[T]) -> Awaitable[T]:
        """Apply *step* to the rows at *keys*; all of its writes happen, or none.

        *step* is pure, never awaits, and may run again when writers collide. What it raises
        reaches the caller, and nothing is written.

        Raises:
            StoreUnavailableError: the outcome is unknown; the same hold id may be sent again.
            BusyError: too many steps wait already; this one was not begun.
            ConfigurationError: the ledger is none that this version can work with.
            ValueError: the step changed a row that it did not name, or one row twice.
        """


@value
class TokenOverhead:
    """Tokens that a model's chat template adds to the texts, as an upper bound.

    ``per_image`` is what a picture is billed as at the most, ``per_low_image`` one whose ``detail``
    is low. ``with_tools`` is added once where there are tools, and ``per_tool`` for each of them.
    """

    per_message: int
    per_request: int
    per_image: int = 2_000
    per_low_image: int = 2_000
    per_tool: int = 16
    with_tools: int = 0


class TokenCounter(Protocol):
    """Says how many tokens a text is for a model.

    Every adapter passes the suite in ``chatnest.testing.tokens``.
    """

    def bound(self, model: str, text: str) -> int:
        """An upper bound of the tokens in *text*; cheap, counts nothing."""

    async def count(self, model: str, text: str, *, most: int | None = None) -> int:
        """The tokens in *text*: exact where the model's vocabulary is known, else an estimate.

        With *most* it may stop where there are more, and answer any number above *most* that is
        not above the whole count. Never blocks the event loop for long, never exceeds ``bound``.
        """

    def overestimate_percent(self, model: str) -> int:
        """How far above the truth ``count`` may lie, in percent of the truth; zero: it is exact."""

    def overhead(self, model: str) -> TokenOverhead:
        """What the model's chat template adds to the texts."""


class PriceBook(Protocol):
    """Says what a model costs."""

    def price(self, provider: str, model: str) -> Price | None:
        """The price of *model* at *provider*; None is unknown, which is not zero."""


class Timer(Protocol):
    """A callback that is waiting for its time."""

    def cancel(self) -> None:
        """Call the callback no more. May be called twice, and after it ran."""


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> int:
        """The wall clock, in microseconds since the Unix epoch."""

    def monotonic_us(self) -> int:
        """A clock that never goes back, in microseconds since an arbitrary start."""

    def call_later(self, delay_us: int, callback: Callable[[], None]) -> Timer:
        """Run *callback* once on the event loop after *delay_us*."""

    async def sleep(self, delay_us: int) -> None:
        """Wait for *delay_us*; cancellation ends the wait at once."""


class Randomness(Protocol):
    """The one source of chance: identifiers and jitter."""

    def new_id(self) -> str:
        """An identifier that nobody else has, of URL-safe characters."""

    def fraction(self) -> float:
        """A number in [0, 1)."""


@value
class CallReport:
    """How one attempt ended, for metrics, traces and logs: no content, no credentials."""

    request_id: str
    attempt: int
    principal: str
    profile: str
    provider: str
    model: str
    usage: TokenUsage | None
    cost_nano_usd: int | None
    estimated: bool
    overrun: bool
    finish_reason: FinishReason
    failure: Failure | None
    duration_us: int
    time_to_first_token_us: int | None


class Observer(Protocol):
    """Is told what happened. It must be quick, and what it raises is dropped."""

    def call_ended(self, report: CallReport) -> None:
        """An attempt at a provider ended."""

    def refused(self, principal: str, profile: str, code: str) -> None:
        """A request was refused before any provider was called."""

    def settlement_failed(self, hold_id: str) -> None:
        """The store did not take a settlement yet; it is tried again, and the hold stands."""

    def settlement_abandoned(self, hold_id: str) -> None:
        """A settlement is tried no more: the hold is charged at its worst case."""
