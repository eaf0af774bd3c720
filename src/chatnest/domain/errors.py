"""Everything that goes wrong and is raised, as one tree; expected refusals are returned instead.

    ChatNestError
    ├── ConfigurationError      the operator must change something before this can work
    ├── InvalidRequestError     the client must change its request; names the field
    ├── StoreUnavailableError   the ledger did not answer; nothing may be spent
    ├── BusyError               this process takes no new chats: it drains, or its queue is full
    ├── IllegalEventError       a provider broke the table of legal orders
    └── ProviderError           the provider failed; carries the classified failure

SDK and driver exceptions are translated into this tree once, at the edge of their adapter,
``raise … from``. A public message never carries a key, a prompt, a path or a traceback.
"""

from enum import StrEnum

from chatnest.domain.values import value


class FailureKind(StrEnum):
    """What kind of failure a provider call ended in; the rows of the retry table."""

    CONNECTION = "connection"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"
    QUOTA_EXHAUSTED = "quota_exhausted"
    INVALID_REQUEST = "invalid_request"
    AUTHENTICATION = "authentication"
    NOT_FOUND = "not_found"
    CONTENT_FILTER = "content_filter"
    CONTEXT_LENGTH = "context_length"
    UNKNOWN = "unknown"


@value
class Failure:
    """A provider's failure, classified once at the adapter's edge.

    ``status`` is the HTTP status where there was one; ``code`` the provider's own word for it;
    ``retry_after_s`` what the provider asked us to wait. ``billable`` is False only where the
    provider provably did no work: the request never left, or an error response refused it.
    """

    kind: FailureKind
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    billable: bool = True


@value
class PublicError:
    """What a client may know of a failure: a stable code, a sentence, and whether to try again."""

    code: str
    message: str
    retryable: bool = False


class ChatNestError(Exception):
    """The root of every exception that ChatNest raises on purpose."""


class ConfigurationError(ChatNestError):
    """The configuration cannot work; the message says what to change."""


class InvalidRequestError(ChatNestError):
    """A request is not understood.

    ``field`` is the path of the offending field (``messages[2].role``), or None for the body as
    a whole; ``reason`` is a sentence that may be shown to anyone.
    """

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


class StoreUnavailableError(ChatNestError):
    """The ledger store did not answer: the outcome is unknown, and no new chat may start."""


class BusyError(ChatNestError):
    """This process takes no new chats at the moment; another one, or a later try, may."""


class IllegalEventError(ChatNestError):
    """A provider sent an event that the table of legal orders does not allow."""


class ProviderError(ChatNestError):
    """A provider call failed. ``failure`` says how; the message is for the operator's log."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure
