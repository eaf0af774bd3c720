"""Retry: what a provider's failure is, and whether to try again, where, and after how long.

Three tables say it all: what a response means (:data:`STATUS_KINDS` and the words beside it),
what may be done about each kind (:data:`RETRY_TABLE`), and what a client is told
(:data:`PUBLIC_ERRORS`). Nothing is tried again once a delta was streamed: the client has seen it,
and it was paid for.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from chatnest.domain.errors import Failure, FailureKind, PublicError
from chatnest.domain.values import value
from chatnest.domain.windows import US_PER_S

STATUS_KINDS: Final[Mapping[int, FailureKind]] = MappingProxyType(
    {
        400: FailureKind.INVALID_REQUEST,
        401: FailureKind.AUTHENTICATION,
        402: FailureKind.QUOTA_EXHAUSTED,
        403: FailureKind.AUTHENTICATION,
        404: FailureKind.NOT_FOUND,
        405: FailureKind.NOT_FOUND,
        408: FailureKind.TIMEOUT,
        410: FailureKind.NOT_FOUND,
        412: FailureKind.INVALID_REQUEST,
        413: FailureKind.CONTEXT_LENGTH,
        415: FailureKind.INVALID_REQUEST,
        422: FailureKind.INVALID_REQUEST,
        429: FailureKind.RATE_LIMITED,
        431: FailureKind.INVALID_REQUEST,
        501: FailureKind.NOT_FOUND,
        503: FailureKind.OVERLOADED,
        504: FailureKind.TIMEOUT,
        524: FailureKind.TIMEOUT,
        529: FailureKind.OVERLOADED,
    }
)

# Words that say more than the status beside them: the same 429 is a rate limit or an empty
# account, the same 400 a typing error or a prompt that is too long. Collected from OpenAI's guide
# (developers.openai.com/api/docs/guides/error-codes) and the literals in openai-python 3.54
# (SessionTurnError, ResponseError), ERROR_CLASSES and ErrorType in anthropic-python 2.12, and
# format_error_response in llama.cpp's tools/server. What is about one provider's account, keys
# and settings counts as its quota or its authentication, so that another target is tried.
SPECIFIC_WORDS: Final[Mapping[str, FailureKind]] = MappingProxyType(
    {
        "insufficient_quota": FailureKind.QUOTA_EXHAUSTED,
        "quota_exceeded": FailureKind.QUOTA_EXHAUSTED,
        "usage_limit_exceeded": FailureKind.QUOTA_EXHAUSTED,
        "billing_error": FailureKind.QUOTA_EXHAUSTED,
        "billing_hard_limit_reached": FailureKind.QUOTA_EXHAUSTED,
        "billing_not_active": FailureKind.QUOTA_EXHAUSTED,
        "credit_balance_exhausted": FailureKind.QUOTA_EXHAUSTED,
        "organization_spend_limit_exceeded": FailureKind.QUOTA_EXHAUSTED,
        "organization_usage_limit_exceeded": FailureKind.QUOTA_EXHAUSTED,
        "project_spend_limit_exceeded": FailureKind.QUOTA_EXHAUSTED,
        "contract_spend_limit_reached": FailureKind.QUOTA_EXHAUSTED,
        "enforced_spend_limit_reached": FailureKind.QUOTA_EXHAUSTED,
        "linked_organization_billing_unavailable": FailureKind.QUOTA_EXHAUSTED,
        "linked_organization_spend_limit_reached": FailureKind.QUOTA_EXHAUSTED,
        "session_budget_exceeded": FailureKind.QUOTA_EXHAUSTED,
        "user_profile_billing_not_authorized": FailureKind.QUOTA_EXHAUSTED,
        "user_profile_not_billable": FailureKind.QUOTA_EXHAUSTED,
        "invalid_api_key": FailureKind.AUTHENTICATION,
        "authentication_error": FailureKind.AUTHENTICATION,
        "permission_error": FailureKind.AUTHENTICATION,
        "organization_on_hold": FailureKind.AUTHENTICATION,
        "claude_code_key_creator_not_member": FailureKind.AUTHENTICATION,
        "cmek_key_disabled": FailureKind.AUTHENTICATION,
        "cmek_key_network_blocked": FailureKind.AUTHENTICATION,
        "data_residency_mismatch": FailureKind.AUTHENTICATION,
        "organization_not_enrolled_in_beta": FailureKind.AUTHENTICATION,
        "organization_type_not_supported": FailureKind.AUTHENTICATION,
        "parent_organization_required": FailureKind.AUTHENTICATION,
        "skill_read_blocked_undecryptable": FailureKind.AUTHENTICATION,
        "context_length_exceeded": FailureKind.CONTEXT_LENGTH,
        "exceed_context_size_error": FailureKind.CONTEXT_LENGTH,
        "request_too_large": FailureKind.CONTEXT_LENGTH,
        "request_body_too_large_after_decoding": FailureKind.CONTEXT_LENGTH,
        "content_filter": FailureKind.CONTENT_FILTER,
        "content_policy_violation": FailureKind.CONTENT_FILTER,
        "image_content_policy_violation": FailureKind.CONTENT_FILTER,
        "misalignment_policy_violation": FailureKind.CONTENT_FILTER,
        "bio_policy": FailureKind.CONTENT_FILTER,
        "cyber_policy": FailureKind.CONTENT_FILTER,
        "model_not_found": FailureKind.NOT_FOUND,
        "not_found_error": FailureKind.NOT_FOUND,
        "resource_not_found": FailureKind.NOT_FOUND,
        "not_supported_error": FailureKind.INVALID_REQUEST,
        "file_expired": FailureKind.INVALID_REQUEST,
        "thread_not_found": FailureKind.INVALID_REQUEST,
        "rate_limit_exceeded": FailureKind.RATE_LIMITED,
        "rate_limit_error": FailureKind.RATE_LIMITED,
        "ramp_limit_exceeded": FailureKind.RATE_LIMITED,
        "slow_down": FailureKind.RATE_LIMITED,
        "overloaded_error": FailureKind.OVERLOADED,
        "server_is_overloaded": FailureKind.OVERLOADED,
        "server_overloaded": FailureKind.OVERLOADED,
        "service_unavailable_error": FailureKind.OVERLOADED,
        "unavailable_error": FailureKind.OVERLOADED,
        "cmek_context_unavailable": FailureKind.OVERLOADED,
        "cmek_key_unreachable": FailureKind.OVERLOADED,
        "compaction_unavailable": FailureKind.OVERLOADED,
        "flex_unavailable": FailureKind.OVERLOADED,
        # The request did not arrive whole, or did not get as far as the model.
        "connection_failed": FailureKind.CONNECTION,
        "request_body_timeout": FailureKind.CONNECTION,
        "timeout_error": FailureKind.TIMEOUT,
        "request_timeout": FailureKind.TIMEOUT,
    }
)

# Words that say less than an error status (OpenAI's 401 has the type invalid_request_error too).
# They count only where there is no such status: in a stream that began with 200.
GENERIC_WORDS: Final[Mapping[str, FailureKind]] = MappingProxyType(
    {
        "invalid_request": FailureKind.INVALID_REQUEST,
        "invalid_request_error": FailureKind.INVALID_REQUEST,
        "conflict_error": FailureKind.INVALID_REQUEST,
        "invalid_prompt": FailureKind.INVALID_REQUEST,
        "api_error": FailureKind.SERVER_ERROR,
        "internal_error": FailureKind.SERVER_ERROR,
        "server_error": FailureKind.SERVER_ERROR,
    }
)


class Verdict(StrEnum):
    """What may be done about a failure before the first delta.

    ``retry``: call another target at once, or after a back-off this one too. ``fail_over``: call
    another target, this one is out. ``give_up``: tell the client.
    """

    RETRY = "retry"
    FAIL_OVER = "fail_over"
    GIVE_UP = "give_up"


RETRY_TABLE: Final[Mapping[FailureKind, Verdict]] = MappingProxyType(
    {
        # These pass by themselves.
        FailureKind.CONNECTION: Verdict.RETRY,
        FailureKind.INTERRUPTED: Verdict.RETRY,
        FailureKind.TIMEOUT: Verdict.RETRY,
        FailureKind.RATE_LIMITED: Verdict.RETRY,
        FailureKind.OVERLOADED: Verdict.RETRY,
        FailureKind.SERVER_ERROR: Verdict.RETRY,
        # These stay until the operator acts, but are about one provider's account or models.
        FailureKind.QUOTA_EXHAUSTED: Verdict.FAIL_OVER,
        FailureKind.AUTHENTICATION: Verdict.FAIL_OVER,
        FailureKind.NOT_FOUND: Verdict.FAIL_OVER,
        # These are about the request: it goes wrong everywhere, and a refused prompt is not
        # offered around until somebody takes it.
        FailureKind.INVALID_REQUEST: Verdict.GIVE_UP,
        FailureKind.CONTENT_FILTER: Verdict.GIVE_UP,
        FailureKind.CONTEXT_LENGTH: Verdict.GIVE_UP,
        # An answer that cannot be read was paid for and would be again; of the unknown nothing
        # says that another try helps.
        FailureKind.MALFORMED: Verdict.GIVE_UP,
        FailureKind.UNKNOWN: Verdict.GIVE_UP,
    }
)

PUBLIC_ERRORS: Final[Mapping[FailureKind, PublicError]] = MappingProxyType(
    {
        FailureKind.CONNECTION: PublicError(
            "provider_connection", "The model provider could not be reached.", retryable=True
        ),
        FailureKind.INTERRUPTED: PublicError(
            "provider_interrupted", "The model provider broke off its answer.", retryable=True
        ),
        FailureKind.TIMEOUT: PublicError(
            "provider_timeout", "The model provider took too long.", retryable=True
        ),
        FailureKind.RATE_LIMITED: PublicError(
            "provider_rate_limited",
            "The model provider is limiting this server's requests.",
            retryable=True,
        ),
        FailureKind.OVERLOADED: PublicError(
            "provider_overloaded", "The model provider is overloaded.", retryable=True
        ),
        FailureKind.SERVER_ERROR: PublicError(
            "provider_server_error", "The model provider had an internal error.", retryable=True
        ),
        FailureKind.QUOTA_EXHAUSTED: PublicError(
            "provider_quota_exhausted",
            "This server's account at the model provider is exhausted.",
        ),
        FailureKind.AUTHENTICATION: PublicError(
            "provider_authentication", "The model provider refused this server's credentials."
        ),
        FailureKind.NOT_FOUND: PublicError(
            "provider_not_found", "The model provider does not offer this model."
        ),
        FailureKind.INVALID_REQUEST: PublicError(
            "provider_invalid_request", "The model provider did not accept this request."
        ),
        FailureKind.CONTENT_FILTER: PublicError(
            "provider_content_filter", "The model provider's content filter refused this request."
        ),
        FailureKind.CONTEXT_LENGTH: PublicError(
            "provider_context_length", "The conversation is too long for the model."
        ),
        FailureKind.MALFORMED: PublicError(
            "provider_malformed", "The model provider sent an answer that cannot be read."
        ),
        FailureKind.UNKNOWN: PublicError("provider_unknown", "The model provider failed."),
    }
)

# Whoever gave up waiting does not know what the provider behind it went on to do. Every other
# error status is the provider's own refusal, or the word of a gateway whose provider is gone.
_GAVE_UP_WAITING = frozenset({408, 504, 524})

# Far beyond any deadline, and small enough to stay exact; also what "infinity" becomes.
_LONGEST_WAIT_S = 1e9
_MOST_DOUBLINGS = 62


@value
class RetryPolicy:
    """How often and for how long one request may be tried.

    ``max_attempts`` counts every attempt, the first and those at other targets included.
    ``deadline_us`` is measured from the start of the request: no wait goes past it.

    Raises:
        ValueError: no attempt is allowed, or a duration is negative or above its maximum.
    """

    max_attempts: int = 3
    base_delay_us: int = US_PER_S // 2
    max_delay_us: int = 8 * US_PER_S
    deadline_us: int = 45 * US_PER_S

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {self.max_attempts}")
        if not 0 <= self.base_delay_us <= self.max_delay_us:
            raise ValueError("base_delay_us must lie between 0 and max_delay_us")
        if self.deadline_us < 0:
            raise ValueError(f"deadline_us must not be negative, got {self.deadline_us}")


class GiveUpReason(StrEnum):
    """Why nothing more is tried."""

    STREAMED = "streamed"
    NOT_RETRYABLE = "not_retryable"
    ATTEMPTS = "attempts"
    DEADLINE = "deadline"


@value
class Option:
    """A target that may be called next, by its place in the route.

    ``tries`` is how often this request has called it, ``ready_in_us`` in how long it takes calls.
    """

    place: int
    tries: int = 0
    ready_in_us: int = 0


@value
class TryAgain:
    """Call the target at ``place`` after ``delay_us``."""

    place: int
    delay_us: int


@value
class GiveUp:
    """Tell the client."""

    reason: GiveUpReason


Decision = TryAgain | GiveUp


def classify(
    status: int | None, code: str | None = None, error_type: str | None = None
) -> FailureKind:
    """What an error response, or an error inside a stream (*status* 200 or None), means.

    *code* and *error_type* are the provider's words, the more specific first. A word that says
    more than the status beats it. A code that is a number is a status, as llama.cpp and
    OpenRouter send it.
    """
    words = [word for word in (code, error_type) if word is not None]
    for word in words:
        if word in SPECIFIC_WORDS:
            return SPECIFIC_WORDS[word]
    for number in (*map(_as_status, words), status):
        kind = _kind_of_status(number)
        if kind is not None:
            return kind
    for word in words:
        if word in GENERIC_WORDS:
            return GENERIC_WORDS[word]
    return FailureKind.UNKNOWN


def failure_from_response(
    status: int,
    code: str | None = None,
    retry_after_s: float | None = None,
    error_type: str | None = None,
) -> Failure:
    """The failure of a call that got an error response instead of a stream.

    Such a response proves that nothing billable was done, unless it says that somebody gave up
    waiting for the work.
    """
    kind = classify(status, code, error_type)
    billable = kind is FailureKind.TIMEOUT or status in _GAVE_UP_WAITING
    return Failure(kind, status, code or error_type, retry_after_s, billable)


def decide(
    failure: Failure,
    options: Sequence[Option],
    *,
    streamed: bool,
    attempt: int,
    elapsed_us: int,
    jitter: float,
    policy: RetryPolicy,
) -> Decision:
    """What to do after attempt number *attempt* (from 1) ended in *failure*.

    *options* are the targets that are not out for this request, the one that failed among them
    unless its verdict says so. *streamed*: a delta has reached the client. *elapsed_us* is the time
    since the request began, waits included; *jitter* a random number in [0, 1).

    The soonest target is called: one that was not tried yet at once, any other after a back-off
    and not before it takes calls again; among equals the one less tried, then the preferred one.
    """
    verdict = RETRY_TABLE[failure.kind]
    if streamed:
        return GiveUp(GiveUpReason.STREAMED)
    if verdict is Verdict.GIVE_UP or not options:
        return GiveUp(GiveUpReason.NOT_RETRYABLE)
    if attempt >= policy.max_attempts:
        return GiveUp(GiveUpReason.ATTEMPTS)
    backoff_us = _backoff_us(attempt, jitter, policy)
    delay_us, _, place = min(_ranked(option, backoff_us) for option in options)
    if elapsed_us + delay_us > policy.deadline_us:
        return GiveUp(GiveUpReason.DEADLINE)
    return TryAgain(place, delay_us)


def asked_us(retry_after_s: float | None) -> int:
    """A provider's Retry-After, rounded up; nonsense (negative, not a number) asks for nothing."""
    if retry_after_s is None or not retry_after_s > 0:
        return 0
    return math.ceil(min(retry_after_s, _LONGEST_WAIT_S) * US_PER_S)


def public_error(failure: Failure) -> PublicError:
    """What a client may know of *failure*: its kind, and nothing of the provider's own words."""
    return PUBLIC_ERRORS[failure.kind]


def _as_status(word: str) -> int | None:
    return int(word) if len(word) == 3 and word.isdecimal() else None


def _kind_of_status(status: int | None) -> FailureKind | None:
    if status is None:
        return None
    is_server_error = 500 <= status <= 599
    return STATUS_KINDS.get(status, FailureKind.SERVER_ERROR if is_server_error else None)


def _backoff_us(attempt: int, jitter: float, policy: RetryPolicy) -> int:
    """Full jitter: anything between nothing and the doubled delay, so that clients spread out."""
    doubled_us = policy.base_delay_us << min(attempt - 1, _MOST_DOUBLINGS)
    return int(jitter * min(policy.max_delay_us, doubled_us))


def _ranked(option: Option, backoff_us: int) -> tuple[int, int, int]:
    delay_us = max(backoff_us, option.ready_in_us) if option.tries else option.ready_in_us
    return delay_us, option.tries, option.place
