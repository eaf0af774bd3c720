"""Every exception of the two SDKs is one failure in the domain's terms."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import anthropic
import httpx2
import openai
import pytest
from anthropic._error_classes import ERROR_CLASSES
from anthropic.types.shared import error_type
from openai.types.beta.session_turn_error import SessionTurnError
from openai.types.responses.response_error import ResponseError

from chatnest.adapters.providers import anthropic_stream, openai_stream
from chatnest.adapters.providers.sdk_endpoint import Sdk, SdkEndpoint
from chatnest.adapters.providers.sdk_errors import ErrorWords, failure_of, refused, retry_after_s
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.retry import classify

REQUEST = httpx2.Request("POST", "http://provider.test/")
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class SdkCase:
    """One SDK, and the errors that it makes itself of a response."""

    package: ModuleType
    root: type[Exception]
    endpoint: SdkEndpoint
    error_words: ErrorWords

    def error(
        self, status: int, body: object = None, headers: Mapping[str, str] = NOTHING
    ) -> Exception:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return self.endpoint.error(status, raw, json.dumps(body).encode())


def openai_sdk(http_client: httpx2.Client) -> Sdk:
    return openai.OpenAI(api_key="k", max_retries=0, http_client=http_client)


def anthropic_sdk(http_client: httpx2.Client) -> Sdk:
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=http_client)


OPENAI = SdkCase(
    openai,
    openai.OpenAIError,
    SdkEndpoint(openai_sdk, "/chat/completions", secret="k"),
    openai_stream.error_words,
)
ANTHROPIC = SdkCase(
    anthropic,
    anthropic.AnthropicError,
    SdkEndpoint(anthropic_sdk, "/v1/messages", secret="k"),
    anthropic_stream.error_words,
)
SDKS = (OPENAI, ANTHROPIC)
both = pytest.mark.parametrize("sdk", SDKS, ids=["openai", "anthropic"])


def failure_in(sdk: SdkCase, error: Exception) -> Failure:
    return failure_of(error, sdk.error_words)


# Which kind each class of a response means, by the status that the SDK gives it for.
STATUSES = {
    "openai": {
        400: ("BadRequestError", "invalid_request"),
        401: ("AuthenticationError", "authentication"),
        402: ("APIStatusError", "quota_exhausted"),
        403: ("PermissionDeniedError", "authentication"),
        404: ("NotFoundError", "not_found"),
        409: ("ConflictError", "unknown"),
        422: ("UnprocessableEntityError", "invalid_request"),
        429: ("RateLimitError", "rate_limited"),
        500: ("InternalServerError", "server_error"),
    },
    "anthropic": {
        302: ("APIStatusError", "unknown"),
        400: ("BadRequestError", "invalid_request"),
        401: ("AuthenticationError", "authentication"),
        402: ("PaymentRequiredError", "quota_exhausted"),
        403: ("PermissionDeniedError", "authentication"),
        404: ("NotFoundError", "not_found"),
        408: ("RequestTimeoutError", "timeout"),
        409: ("ConflictError", "unknown"),
        412: ("PreconditionFailedError", "invalid_request"),
        413: ("ContentTooLargeError", "context_length"),
        422: ("UnprocessableEntityError", "invalid_request"),
        429: ("RateLimitError", "rate_limited"),
        431: ("RequestHeaderFieldsTooLargeError", "invalid_request"),
        499: ("ClientClosedRequestError", "unknown"),
        500: ("InternalServerError", "server_error"),
        501: ("HTTPNotImplementedError", "not_found"),
        503: ("ServiceUnavailableError", "overloaded"),
        504: ("GatewayTimeoutError", "timeout"),
        529: ("OverloadedError", "overloaded"),
    },
}
# What an SDK raises without an error response.
WITHOUT_ERROR_STATUS = {
    "APIResponseValidationError",
    "APIConnectionError",
    "APITimeoutError",
    "APIError",
}
# What answers that are parsed, uploads, web sockets, tools, webhooks and ways to log in raise; a
# call has none of them.
NEVER_RAISED_BY_A_CALL = {
    "openai": {
        "APIRemovedInV1",
        "AgentFilePreparationError",
        "AgentFileStagingError",
        "AgentOutputParseError",
        "AgentTurnResultError",
        "ContentFilterFinishReasonError",
        "LengthFinishReasonError",
        "MissingDependencyError",
        "MutuallyExclusiveAuthError",
        "OpenAIError",
        "StreamAlreadyConsumed",
        "SubjectTokenProviderError",
        "WebSocketConnectionClosedError",
        "WebSocketQueueFullError",
        "_AmbiguousModuleClientUsageError",
    },
    "anthropic": {
        "APIWebhookValidationError",
        "AnthropicError",
        "AsyncOnSyncToolsetError",
        "BrowserStateError",
        "CredentialsError",
        "IdentityTokenFileError",
        "MissingDependencyError",
        "MutuallyExclusiveAuthError",
        "NestedCallError",
        "RetryableError",
        "StreamAlreadyConsumed",
        "SyncOnAsyncToolsetError",
        "ToolsetClosedError",
        "ToolsetConfigError",
        "ToolsetContractError",
        "ToolsetUsageError",
        "ToolsetsFixedError",
        "WorkloadIdentityError",
    },
}


def classes_of(sdk: SdkCase) -> set[str]:
    """The names of the SDK's exceptions, read out of its sources: some of its modules need more
    packages than a call does."""
    names = {sdk.root.__name__}
    declared: list[tuple[str, str]] = []
    for file in Path(str(sdk.package.__file__)).parent.rglob("*.py"):
        declared += re.findall(r"^class (\w+)\(([^)]*)\)", file.read_text(), re.MULTILINE)
    while (
        found := {name for name, bases in declared if names & set(re.findall(r"\w+", bases))}
        - names
    ):
        names |= found
    return names


@both
def test_every_class_of_the_sdk_was_judged(sdk: SdkCase) -> None:
    name = sdk.package.__name__
    judged = WITHOUT_ERROR_STATUS | NEVER_RAISED_BY_A_CALL[name]
    judged |= {class_name for class_name, _ in STATUSES[name].values()}
    if sdk is OPENAI:
        judged.add("OAuthError")
    else:
        judged |= {one.__name__ for one in ERROR_CLASSES.values()}
    assert classes_of(sdk) == judged


@both
def test_each_status_is_the_class_and_the_kind(sdk: SdkCase) -> None:
    for status, (class_name, kind) in STATUSES[sdk.package.__name__].items():
        error = sdk.error(status)
        assert type(error).__name__ == class_name
        billable = kind == "timeout"
        assert failure_in(sdk, error) == Failure(FailureKind(kind), status, billable=billable)


def test_a_refused_login_is_one_of_authentication() -> None:
    response = httpx2.Response(401, request=REQUEST)
    error = openai.OAuthError(response=response, body={"error": "invalid_grant"})
    expected = Failure(FailureKind.AUTHENTICATION, 401, billable=False)
    assert failure_in(OPENAI, error) == expected


@both
def test_what_comes_without_an_error_response_may_be_billed(sdk: SdkCase) -> None:
    package: Any = sdk.package
    response = httpx2.Response(200, request=REQUEST)
    overloaded = {"code": "server_is_overloaded", "type": "overloaded_error"}
    errors = {
        "APIConnectionError": package.APIConnectionError(request=REQUEST),
        "APITimeoutError": package.APITimeoutError(REQUEST),
        "APIResponseValidationError": package.APIResponseValidationError(response, None),
        "APIError": package.APIError("m", REQUEST, body=overloaded),
    }
    assert errors.keys() == WITHOUT_ERROR_STATUS
    assert {name: failure_in(sdk, error) for name, error in errors.items()} == {
        "APIConnectionError": Failure(FailureKind.CONNECTION),
        "APITimeoutError": Failure(FailureKind.TIMEOUT),
        "APIResponseValidationError": Failure(FailureKind.MALFORMED, 200),
        "APIError": Failure(FailureKind.OVERLOADED, code="server_is_overloaded"),
    }


@both
def test_what_no_call_raises_is_unknown(sdk: SdkCase) -> None:
    assert failure_in(sdk, sdk.root("m")) == Failure(FailureKind.UNKNOWN)


# What each error_code of Anthropic means for a call. A code that a new version of the SDK adds is
# in neither of these two, and fails the test below until somebody has judged it.
OF_MESSAGES = {
    "available_tools_limit_exceeded": "invalid_request",
    "claude_code_key_creator_not_member": "authentication",
    "claude_code_version_too_old": "invalid_request",
    "cmek_context_unavailable": "overloaded",
    "cmek_key_disabled": "authentication",
    "cmek_key_network_blocked": "authentication",
    "cmek_key_unreachable": "overloaded",
    "compaction_block_ambiguous": "invalid_request",
    "compaction_block_misplaced": "invalid_request",
    "compaction_content_mismatch": "invalid_request",
    "compaction_incomplete_turn": "invalid_request",
    "compaction_nothing_to_summarize": "invalid_request",
    "compaction_signature_invalid": "invalid_request",
    "compaction_too_many_tool_references": "invalid_request",
    "compaction_tool_changes_mismatch": "invalid_request",
    "compaction_unavailable": "overloaded",
    "contract_spend_limit_reached": "quota_exhausted",
    "enforced_spend_limit_reached": "quota_exhausted",
    "file_expired": "invalid_request",
    "image_dimensions_too_large": "invalid_request",
    "linked_organization_billing_unavailable": "quota_exhausted",
    "linked_organization_spend_limit_reached": "quota_exhausted",
    "organization_not_enrolled_in_beta": "authentication",
    "organization_on_hold": "authentication",
    "organization_type_not_supported": "authentication",
    "parent_organization_required": "authentication",
    "ramp_limit_exceeded": "rate_limited",
    "request_body_encoding_invalid": "invalid_request",
    "request_body_encoding_unsupported": "invalid_request",
    "request_body_timeout": "connection",
    "request_body_too_large_after_decoding": "context_length",
    "sandbox_egress_restricted": "authentication",
    "skill_read_blocked_undecryptable": "authentication",
    "thread_already_continued": "invalid_request",
    "thread_continue_in_flight": "invalid_request",
    "thread_fingerprint_mismatch": "invalid_request",
    "thread_not_found": "invalid_request",
    "thread_unsupported_request": "invalid_request",
    "tool_name_conflict": "invalid_request",
    "tool_reference_unresolved": "invalid_request",
    "unsupported_charset": "invalid_request",
    "user_profile_billing_not_authorized": "quota_exhausted",
    "user_profile_not_billable": "quota_exhausted",
    "user_profile_not_found": "invalid_request",
    "user_profile_required": "invalid_request",
}
# Of files, of the administration of an organization, and of agents' environments.
OF_OTHER_ENDPOINTS = {
    "already_member",
    "api_key_scope_missing",
    "bundle_attachment_not_supported",
    "bundle_on_call",
    "cannot_invite_emails_with_unverified_domains",
    "cannot_remove_last_member",
    "cannot_sign_out_managed_member",
    "cannot_sign_out_membership_admin",
    "cannot_sign_out_owner",
    "cannot_sign_out_primary_owner",
    "cannot_sign_out_privileged_member",
    "cannot_sign_out_self",
    "claude_tag_writes_not_enabled",
    "cmek_feature_unsupported",
    "compliance_configuration_restricted",
    "concurrent_membership_change",
    "email_domain_not_allowed",
    "environment_archived",
    "environment_create_disabled",
    "environment_not_found",
    "environment_update_disabled",
    "external_key_changed",
    "external_key_in_workspace_policy",
    "external_key_validation_failed",
    "external_key_validation_timed_out",
    "file_not_downloadable",
    "heartbeat_precondition_failed",
    "invalid_config_type_change",
    "invalid_metadata",
    "invite_already_exists",
    "key_profile_mismatch",
    "org_api_key_limit_exceeded",
    "org_member_limit_exceeded",
    "organization_level_scoped_api_key_required",
    "plugin_name_taken",
    "rbac_group_grants_owner_access",
    "rbac_group_managed_settings_not_found",
    "rbac_group_not_found",
    "rbac_group_order_limit_exceeded",
    "rbac_group_owner_access_unconfirmed",
    "rbac_role_not_found",
    "registration_pending",
    "scan_failed",
    "scan_pending",
    "settings_document_limit_exceeded",
    "settings_history_limit_exceeded",
    "skill_name_taken",
    "slack_channel_set_up_environment_not_found",
    "slack_channel_set_up_settings_conflict",
    "slack_channel_set_up_settings_refused",
    "spend_limits_admin_api_writes_not_enabled",
    "storage_quota_exceeded",
    "workspace_api_key_limit_exceeded",
    "workspace_member_limit_exceeded",
    "workspace_policy_violation",
}


def test_every_error_code_of_anthropic_was_judged() -> None:
    codes = {code for _, code in ERROR_CLASSES if code is not None}
    assert codes == OF_MESSAGES.keys() | OF_OTHER_ENDPOINTS
    assert not OF_MESSAGES.keys() & OF_OTHER_ENDPOINTS


def test_each_error_code_of_anthropic_is_the_class_and_the_kind() -> None:
    for (status, code), error_class in ERROR_CLASSES.items():
        if code in OF_MESSAGES:
            details = {"type": "invalid_request_error", "details": {"error_code": code}}
            error = ANTHROPIC.error(status, {"type": "error", "error": details})
            assert type(error) is error_class
            kind = FailureKind(OF_MESSAGES[code])
            assert failure_in(ANTHROPIC, error) == Failure(kind, status, code, billable=False)


# What the words of both SDKs mean inside a stream, where there is no status to help.
WORDS = {
    # anthropic: ErrorType
    "api_error": "server_error",
    "authentication_error": "authentication",
    "billing_error": "quota_exhausted",
    "conflict_error": "invalid_request",
    "invalid_request_error": "invalid_request",
    "not_found_error": "not_found",
    "overloaded_error": "overloaded",
    "permission_error": "authentication",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
    # openai: SessionTurnError and ResponseError
    "billing_not_active": "quota_exhausted",
    "bio_policy": "content_filter",
    "connection_failed": "connection",
    "context_length_exceeded": "context_length",
    "credit_balance_exhausted": "quota_exhausted",
    "cyber_policy": "content_filter",
    "data_residency_mismatch": "authentication",
    "flex_unavailable": "overloaded",
    "image_content_policy_violation": "content_filter",
    "internal_error": "server_error",
    "invalid_prompt": "invalid_request",
    "invalid_request": "invalid_request",
    "misalignment_policy_violation": "content_filter",
    "organization_spend_limit_exceeded": "quota_exhausted",
    "organization_usage_limit_exceeded": "quota_exhausted",
    "project_spend_limit_exceeded": "quota_exhausted",
    "rate_limit_exceeded": "rate_limited",
    "request_timeout": "timeout",
    "resource_not_found": "not_found",
    "server_error": "server_error",
    "server_overloaded": "overloaded",
    "session_budget_exceeded": "quota_exhausted",
    "usage_limit_exceeded": "quota_exhausted",
}
# Of pictures. They are read before an answer begins, so that there is a status, and it says enough.
OF_PICTURES = {
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
    "image_file_too_large",
    "image_parse_error",
    "image_too_large",
    "image_too_small",
    "invalid_base64_image",
    "invalid_image",
    "invalid_image_format",
    "invalid_image_mode",
    "invalid_image_url",
    "unsupported_image_media_type",
}
# Of sessions with tools of the provider's own, and of Anthropic's memory.
OF_NO_CHAT = {
    "active_turn_not_steerable",
    "executor_version_incompatible",
    "max_output_tokens",
    "memory_path_conflict_error",
    "memory_precondition_failed_error",
    "sandbox_error",
    "vector_store_timeout",
}


def test_every_word_of_the_sdks_types_was_judged() -> None:
    words = set(get_args(error_type.ErrorType))
    for model in (SessionTurnError, ResponseError):
        words |= set(get_args(model.model_fields["code"].annotation))
    assert words == WORDS.keys() | OF_PICTURES | OF_NO_CHAT


def test_each_word_means_one_kind_inside_a_stream() -> None:
    assert {word: classify(None, word).value for word in WORDS} == WORDS


def test_a_picture_that_cannot_be_read_is_the_requests_fault() -> None:
    kinds = {classify(400, word, "invalid_request_error") for word in OF_PICTURES}
    assert kinds == {FailureKind.INVALID_REQUEST}


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (
            429,
            {"code": "insufficient_quota", "type": "insufficient_quota"},
            "quota_exhausted",
            "insufficient_quota",
        ),
        (
            429,
            {"code": "rate_limit_exceeded", "type": "tokens"},
            "rate_limited",
            "rate_limit_exceeded",
        ),
        (
            400,
            {"code": "context_length_exceeded", "type": "invalid_request_error"},
            "context_length",
            "context_length_exceeded",
        ),
        (
            400,
            {"code": 400, "type": "exceed_context_size_error"},
            "context_length",
            "exceed_context_size_error",
        ),
        (400, {"code": "content_filter"}, "content_filter", "content_filter"),
        (
            503,
            {"message": "Loading model", "type": "unavailable_error", "code": 503},
            "overloaded",
            "unavailable_error",
        ),
        (500, {"code": "You wrote: my secret"}, "server_error", None),
    ],
)
@both
def test_the_providers_words_say_more_than_the_status(
    sdk: SdkCase, status: int, error: dict[str, Any], kind: str, code: str | None
) -> None:
    failure = failure_in(sdk, sdk.error(status, {"error": error}))
    assert failure == Failure(FailureKind(kind), status, code, billable=False)


@pytest.mark.parametrize("body", [None, [], "no", {"error": "no"}, {"error": {"details": []}}])
@both
def test_a_body_without_an_error_object_leaves_the_status(sdk: SdkCase, body: object) -> None:
    failure = failure_in(sdk, sdk.error(503, body))
    assert failure == Failure(FailureKind.OVERLOADED, 503, billable=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-type", b"application/json; charset=no-such-charset"),
        (b"content-encoding", b"gzip"),
        (b"location", b"http://[no address"),
        (b"x-name", "Größe".encode("latin-1")),
    ],
)
@pytest.mark.parametrize("status", [307, 503])
@both
def test_no_header_hides_the_status(sdk: SdkCase, status: int, name: bytes, value: bytes) -> None:
    error = sdk.endpoint.error(status, [(name, value)], b"\xff{")
    assert failure_in(sdk, error).status == status


@pytest.mark.parametrize("status", [408, 504, 524])
@both
def test_somebody_who_gave_up_waiting_may_have_been_billed(sdk: SdkCase, status: int) -> None:
    assert failure_in(sdk, sdk.error(status)).billable


@both
def test_messages_carry_words_and_never_sentences(sdk: SdkCase) -> None:
    error = sdk.error(429, {"error": {"message": "my secret", "code": "slow_down"}})
    assert str(refused(error, sdk.error_words)) == "answered with status 429 (slow_down)"
    assert str(refused(sdk.error(500), sdk.error_words)) == "answered with status 500"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        (
            {
                "date": "Sun, 22 Nov 2026 10:00:00 GMT",
                "retry-after": "Sun, 22 Nov 2026 10:01:30 GMT",
            },
            90.0,
        ),
        (
            {
                "date": "Sun, 22 Nov 2026 10:00:00 GMT",
                "retry-after": "Sun, 22 Nov 2026 09:00:00 GMT",
            },
            0.0,
        ),
        ({"retry-after": "Sun, 22 Nov 2026 10:01:30 GMT"}, None),
        ({"date": "today", "retry-after": "Sun, 22 Nov 2026 10:01:30 GMT"}, None),
        (
            {
                "date": "Sun, 22 Nov 2026 10:00:00 -0000",
                "retry-after": "Sun, 22 Nov 2026 10:01:30 GMT",
            },
            None,
        ),
    ],
)
def test_a_wait_is_asked_for_in_milliseconds_seconds_or_by_date(
    headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after_s(httpx2.Headers(headers)) == expected
    for sdk in SDKS:
        assert failure_in(sdk, sdk.error(429, headers=headers)).retry_after_s == expected
