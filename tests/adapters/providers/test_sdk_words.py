"""Every word that the two SDKs have for an error means one kind of failure."""

from typing import get_args

from anthropic._error_classes import ERROR_CLASSES
from anthropic.types.shared import error_type
from openai.types.beta.session_turn_error import SessionTurnError
from openai.types.responses.response_error import ResponseError

from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.retry import classify
from tests.adapters.providers.sdk_cases import ANTHROPIC, failure_in

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
