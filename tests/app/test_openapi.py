"""What the OpenAPI document says."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from litestar import Litestar

from chatnest import AuthConfig, ChatNestConfig, ChatNestPlugin, HttpConfig, KeyConfig
from chatnest.adapters.providers.scripted import Script
from chatnest.adapters.transport.chatnest_body import MOST_MESSAGES, ChatBody, MessageBody
from chatnest.app.endpoints import Endpoint
from chatnest.app.streaming import SHUTTING_DOWN
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.errors import (
    BusyError,
    ConfigurationError,
    InvalidRequestError,
    PublicError,
    StoreUnavailableError,
)
from chatnest.domain.retry import PUBLIC_ERRORS
from tests.app.described_app import ENDPOINTS, WHOLE, application

STREAMING = {400, 401, 403, 409, 429, 500, 503}
OPENAI = STREAMING | {413, 502, 504}
ERRORS = {
    "post /api/chat": STREAMING,
    "post /api/ui/chat": STREAMING,
    "post /v1/chat/completions": OPENAI,
    "post /v1/responses": OPENAI,
    "post /v1/messages": OPENAI | {529},
    "post /agui": STREAMING,
    "post /v1/messages/count_tokens": {400, 401},
    "get /v1/models": {401},
    "get /v1/models/{name}": {401, 404},
    "get /api/usage": {400, 401, 503},
    "get /health/live": set(),
    "get /health/ready": {503},
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return application(Script()).openapi_schema.to_schema()


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_every_status_that_a_dialect_gives_is_described_and_no_other(endpoint: Endpoint) -> None:
    told: set[int] = set()
    for code in RefusalCode:
        refused = Refusal(code, "tokens-day", retry_after_us=1)
        told.add(endpoint.dialect.refusal(refused, 0).status)
    unauthenticated = PublicError("unauthenticated", "Who are you?")
    errors: list[Exception | PublicError] = [
        unauthenticated,
        InvalidRequestError("is blank"),
        StoreUnavailableError("is down"),
        BusyError("is full"),
        ConfigurationError("is wrong"),
    ]
    if endpoint.whole is not None:
        errors += [*PUBLIC_ERRORS.values(), SHUTTING_DOWN]
    told |= {endpoint.dialect.error(error).status for error in errors}

    assert set(endpoint.statuses) == told
    assert len(endpoint.statuses) == len(told)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = dict(operations(document))
    assert described.keys() == ERRORS.keys()
    assert len({operation["operationId"] for operation in described.values()}) == len(described)
    for operation in described.values():
        assert operation["summary"]
        assert operation["tags"]
        assert all(response["description"] for response in operation["responses"].values())


def test_every_error_is_described_in_the_form_of_its_dialect(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, operation in operations(document):
        errors = {int(s): r for s, r in operation["responses"].items() if s != "200"}
        assert errors.keys() == ERRORS[name]
        for error in errors.values():
            ((media_type, content),) = error["content"].items()
            if name == "post /api/ui/chat":
                assert (media_type, content["schema"]) == ("text/plain", {"type": "string"})
                continue
            assert media_type == "application/json"
            component = content["schema"]["$ref"].rpartition("/")[2]
            body = {field: schemas[component][field] for field in ("required", "properties")}
            assert (set(body["required"]), body["properties"].keys()) == error_form(name)


def error_form(operation: str) -> tuple[set[str], set[str]]:
    """The fields that errors of *operation* always have, and all that they may have."""
    if "/v1/messages" in operation:
        always = {"type", "error", "request_id"}
        return always, always
    if "/v1/" in operation:
        return {"error"}, {"error"}
    always = {"error", "code", "retryable"}
    return always, always | {"field", "reason", "retryAfterSeconds", "limit"}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_idempotency_key_is_described_as_it_is_taken(
    document: dict[str, Any], path: str
) -> None:
    (header,) = document["paths"][path]["post"]["parameters"]
    assert (header["in"], header["name"], header["required"]) == (
        "header",
        "Idempotency-Key",
        False,
    )
    allowed = header["schema"]
    assert (allowed["minLength"], allowed["maxLength"]) == (1, 255)
    for key, good in {"a": True, "a b": True, "~": True, " a": False, "a ": False}.items():
        assert bool(re.search(allowed["pattern"], key)) is good
    for key in ("é", "a\x7f", "a\tb", ""):
        assert not re.search(allowed["pattern"], key)


def test_the_body_of_a_chat_is_described_as_it_is_decoded(document: dict[str, Any]) -> None:
    request = document["paths"]["/api/chat"]["post"]["requestBody"]
    assert request["required"] is True
    assert request["content"].keys() == {"application/json"}
    body = request["content"]["application/json"]["schema"]
    assert tuple(body["properties"]) == ChatBody.__struct_encode_fields__
    assert body["required"] == ["messages"]
    messages = body["properties"]["messages"]
    assert (messages["minItems"], messages["maxItems"]) == (1, MOST_MESSAGES)
    assert tuple(messages["items"]["properties"]) == MessageBody.__struct_encode_fields__
    assert "$ref" not in str(body)


def test_keys_are_described_where_they_are_needed() -> None:
    key = KeyConfig(name="alice", sha256="0" * 64)
    plugin = ChatNestPlugin(ChatNestConfig(auth=AuthConfig(keys=(key,))))
    document = Litestar(plugins=[plugin], logging_config=None).openapi_schema.to_schema()

    schemes = document["components"]["securitySchemes"]
    bearer, header = schemes["key"], schemes["x-api-key"]
    assert (bearer["type"], bearer["scheme"]) == ("http", "bearer")
    assert (header["type"], header["in"], header["name"]) == ("apiKey", "header", "x-api-key")
    needed = {path: operation.get("security") for path, operation in operations(document)}
    free = {needed.pop("get /health/live"), needed.pop("get /health/ready")}
    assert free == {None}
    assert all(either == [{"key": []}, {"x-api-key": []}] for either in needed.values())
    schemathesis.openapi.from_dict(document).validate()


def test_no_key_is_described_where_none_is_needed(document: dict[str, Any]) -> None:
    assert "securitySchemes" not in document["components"]
    assert all("security" not in operation for _, operation in operations(document))


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_answer_is_described_as_events_and_in_one_piece_where_that_can_be_asked_for(
    document: dict[str, Any], path: str
) -> None:
    answer = document["paths"][path]["post"]["responses"]["200"]
    whole = {"application/json"} if path in WHOLE else set()
    assert answer["content"].keys() == {"text/event-stream"} | whole


@pytest.mark.parametrize("path", [*ENDPOINTS, "/v1/messages/count_tokens"])
def test_every_body_is_described_without_references(document: dict[str, Any], path: str) -> None:
    request = document["paths"][path]["post"]["requestBody"]
    assert request["required"] is True
    assert request["content"].keys() == {"application/json"}
    assert "$ref" not in str(request)


@pytest.mark.parametrize("dialect", ["chatnest", "openai", "anthropic", "ai-sdk", "ag-ui"])
def test_what_is_not_mounted_is_not_described(dialect: Any) -> None:
    config = ChatNestConfig(http=HttpConfig(dialects=(dialect,)))
    app = Litestar(plugins=[ChatNestPlugin(config)], logging_config=None)
    document = app.openapi_schema.to_schema()

    owned = {
        "chatnest": {"/api/chat"},
        "openai": {"/v1/chat/completions", "/v1/responses", "/v1/models", "/v1/models/{name}"},
        "anthropic": {"/v1/messages", "/v1/messages/count_tokens"},
        "ai-sdk": {"/api/ui/chat"},
        "ag-ui": {"/agui"},
    }
    always = {"/api/usage", "/health/live", "/health/ready"}
    assert document["paths"].keys() == owned[dialect] | always
