"""What each family of clients has to show of a failure, so that its user can act on it."""

from collections.abc import Mapping
from typing import Any, Final

from tests.end_to_end.clients.all_clients import Client, Family
from tests.end_to_end.clients.asking import Outcome
from tests.end_to_end.clients.failures import Broken
from tests.end_to_end.clients.refusals import Refused

_COMMON: Final[Mapping[int, str]] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    409: "ConflictError",
    429: "RateLimitError",
}
_OPENAI: Final[Mapping[int, str]] = {
    **_COMMON,
    **dict.fromkeys((502, 503, 504), "InternalServerError"),
}
_ANTHROPIC: Final[Mapping[int, str]] = {
    **_COMMON,
    413: "ContentTooLargeError",
    502: "InternalServerError",
    503: "ServiceUnavailableError",
    504: "GatewayTimeoutError",
    529: "OverloadedError",
}
# These two have no class for it, and their most general ones have different names.
_OPENAI_413: Final = {"openai-python": "APIStatusError", "openai-node": "APIError"}


def refusal_shown(client: Client, refused: Refused) -> dict[str, Any]:
    """What *client* makes of *refused*; of a message, the text that must be in it."""
    status = refused.v1_status or refused.status
    message = refused.reason or refused.text
    match client.family:
        case Family.OPENAI:
            type_, code = refused.openai
            told = {"status": status, "type": type_, "code": code, "message": message}
            return {"name": _openai_class(client, status), **told}
        case Family.ANTHROPIC:
            type_, code = refused.anthropic
            name = _ANTHROPIC[status]
            if code == "enforced_spend_limit_reached":
                name = "EnforcedSpendLimitReachedError"
            return {"name": name, "status": status, "type": type_, "code": code, "message": message}
        case Family.AI_SDK_PROVIDER:
            return {"name": "AI_APICallError", "status": status, "message": message}
        case Family.USE_CHAT:
            return {"message": refused.text}
        case Family.AG_UI:
            told = {"status": refused.status, "code": refused.code, "message": refused.text}
            return {"name": "Error", **told}


def failure_shown(client: Client, broken: Broken) -> dict[str, Any]:
    """What *client* makes of an answer in one piece that is *broken*."""
    status, message = broken.status, broken.text
    match client.family:
        case Family.OPENAI:
            type_, code = broken.openai
            told = {"status": status, "type": type_, "code": code, "message": message}
            return {"name": _openai_class(client, status), **told}
        case Family.ANTHROPIC:
            type_, code = broken.anthropic
            status = broken.anthropic_status or status
            told = {"status": status, "type": type_, "code": code, "message": message}
            return {"name": _ANTHROPIC[status], **told}
        case Family.AI_SDK_PROVIDER:
            if "anthropic" in client.name:
                status = broken.anthropic_status or status
            return {"name": "AI_APICallError", "status": status, "message": message}
        case Family.USE_CHAT | Family.AG_UI:
            raise ValueError(f"{client.name} takes no answer in one piece")


def end_shown(client: Client, broken: Broken) -> dict[str, Any]:
    """What *client* makes of the end of a stream that is *broken*; it has no status any more."""
    shown: dict[str, Any] = {"name": None, "message": broken.text}
    match client.family:
        case Family.OPENAI if client.ends.failed:
            return {**shown, "code": broken.responses_code}
        case Family.OPENAI:
            type_, code = broken.openai
            return {**shown, "name": "APIError", "status": None, "type": type_, "code": code}
        case Family.ANTHROPIC:
            type_, code = broken.anthropic
            # The Python SDK has the status of the response that the stream is in.
            in_python = "python" in client.name
            name, status = ("APIStatusError", 200) if in_python else ("APIError", None)
            return {**shown, "name": name, "status": status, "type": type_, "code": code}
        case Family.AI_SDK_PROVIDER:
            return {**shown, "name": "AI_StreamProviderError"}
        case Family.USE_CHAT:
            return {"message": broken.text}
        case Family.AG_UI:
            return {**shown, "name": "RUN_ERROR", "status": None, "code": broken.code}


def _openai_class(client: Client, status: int) -> str:
    return _OPENAI.get(status) or _OPENAI_413[client.name.rpartition("-")[0]]


def agrees(outcome: Outcome, expected: Mapping[str, Any]) -> bool:
    """Whether *outcome* is the *expected* error, whose message has the expected text in it."""
    error = dict(outcome.error or {})
    message = error.pop("message", None) or ""
    # What an AI SDK provider takes for the status of a stream's error is its own guess.
    seen = {name: value for name, value in error.items() if name in expected}
    return {**seen, "message": expected["message"]} == expected and expected["message"] in message


def requests_by_default(client: Client, refused: Refused) -> int:
    """How often *client* asks where it is left as it comes."""
    match client.family:
        case Family.USE_CHAT | Family.AG_UI:
            is_retried = False
        case Family.AI_SDK_PROVIDER:
            # These look at the status alone, whatever x-should-retry says.
            status = refused.v1_status or refused.status
            is_retried = status in (408, 409, 429) or status >= 500
        case Family.OPENAI | Family.ANTHROPIC:
            is_retried = refused.is_retried
    if not is_retried:
        return 1
    return 3 if refused.stays else 2
