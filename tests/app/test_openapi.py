"""The OpenAPI document, and whether the application does what it says."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from chatnest import (
    AuthConfig,
    ChatNestConfig,
    ChatNestPlugin,
    HttpConfig,
    KeyConfig,
    Principal,
    ProfileConfig,
    TimeLimitsConfig,
)
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import ScriptedProvider
from chatnest.adapters.providers.scripted import Script
from chatnest.adapters.transport.chatnest_body import MOST_MESSAGES, ChatBody, MessageBody
from chatnest.app.auth import Connection
from chatnest.app.endpoints import Endpoint, endpoints
from chatnest.app.streaming import SHUTTING_DOWN
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.errors import (
    BusyError,
    ConfigurationError,
    Failure,
    FailureKind,
    InvalidRequestError,
    PublicError,
    StoreUnavailableError,
)
from chatnest.domain.messages import ToolCall
from chatnest.domain.retry import PUBLIC_ERRORS

# What a request can be refused for, with 400, although a JSON schema does not rule it out.
ANY_CHAT = (
    "is blank",
    'must hold a message with the role "user"',
    "holds a NUL",
    "no such profile",
)
PICTURES = (
    'must be an "https:" address of a picture',
    "must be an https: address",
    "must be a picture in base64",
    "must be that of a picture",
    "is neither a text nor a picture",
    "is a file that only one provider has",
    "holds a picture, which only a user can show",
)
OPENAI_TOOLS = (
    "must be a JSON Schema of an object",
    'must name a function of "tools"',
    'must not be "required" without "tools"',
    "has two tool calls with one id",
    "has tool calls, and must be followed by",
    "is the result of no call",
    "must be false: no answer is stored",
)
ANTHROPIC_TOOLS = (
    "is the name of another tool",
    "is the id of another call",
    "must be false: this server searches",
    "needs tools to choose from",
    "must be the name of a tool",
    "must be the id of a call",
    'a "tool_result" for each',
    "must stand before what the user says",
    'must begin with "clear_"',
)
BEYOND_SCHEMAS: Mapping[str, tuple[str, ...]] = {
    "/api/chat": ANY_CHAT,
    "/api/ui/chat": (
        *ANY_CHAT,
        *PICTURES,
        "must be a part's type",
        "is missing; it must be a text",
        "must be the state of a tool call",
        "must name a tool",
        "must be the id of the call",
        "parts[0] is not valid",
        "type is missing; it is not valid",
    ),
    "/agui": (*ANY_CHAT, *PICTURES),
    "/v1/chat/completions": (
        *ANY_CHAT,
        *PICTURES,
        *OPENAI_TOOLS,
        "must be a text or a list of parts",
        "must be false: probabilities of tokens are not given",
    ),
    "/v1/responses": (
        *ANY_CHAT,
        *PICTURES,
        *OPENAI_TOOLS,
        "is missing; an item of this type needs it",
        'belongs into an item of the type "reasoning"',
        "is not supported here; leave it out",
        'must have "name" and "schema"',
    ),
    "/v1/messages": (*ANY_CHAT, *PICTURES, *ANTHROPIC_TOOLS),
    "/v1/messages/count_tokens": (*ANY_CHAT, *PICTURES, *ANTHROPIC_TOOLS),
    "/api/usage": ("no such profile",),
}

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
ENDPOINTS = {endpoint.path: endpoint for endpoint in endpoints(HttpConfig())}
WHOLE = [path for path, endpoint in ENDPOINTS.items() if endpoint.whole is not None]


def application(script: Script) -> Litestar:
    """An application whose callers never run out of requests, and are sent pings soon."""
    callers = count()

    def somebody_new(connection: Connection) -> Principal:
        return Principal(f"caller-{next(callers)}")

    config = ChatNestConfig(
        client_system_prompt=True,
        profiles={"0": ProfileConfig()},  # A generated text often is a zero.
        time_limits=TimeLimitsConfig(heartbeat_s=0.01),
    )
    provider = ScriptedProvider(SystemClock(), script)
    plugin = ChatNestPlugin(config, provider=provider, resolve_principal=somebody_new)
    document = OpenAPIConfig(title="ChatNest", version="1")
    return Litestar(plugins=[plugin], openapi_config=document, logging_config=None)


def described(script: Script) -> OpenApiSchema:
    """What schemathesis makes of an application and its document."""
    app = application(script)
    described = schemathesis.openapi.from_dict(app.openapi_schema.to_schema())
    described.app = app
    return described


schema = described(Script())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return application(Script()).openapi_schema.to_schema()


@schema.parametrize()
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_every_request_is_answered_as_the_document_says(case: Case[Any]) -> None:
    if is_good(case) and isinstance(case.body, dict) and case.body.get("model") is not None:
        case.body["model"] = "scripted"  # A generated text is hardly ever the name of a model.
    response = case.call()

    case.validate_response(response, excluded_checks=[positive_data_acceptance])
    if is_good(case) and response.status_code == 400:
        assert any(reason in sentence(response.text) for reason in BEYOND_SCHEMAS[case.path])


def sentence(refusal: str) -> str:
    """What *refusal* says to people, in whichever form."""
    try:
        told = json.loads(refusal)
    except ValueError:
        return refusal
    return str(told.get("reason") or told["error"]["message"])


def is_good(case: Case[Any]) -> bool:
    """Whether *case* keeps to the document; to a JSON schema even 1.0 is an integer."""
    meant_well = case.meta is not None and case.meta.generation.mode.is_positive
    return meant_well and not has_float(case.body)


def has_float(value: object) -> bool:
    if isinstance(value, dict):
        return any(has_float(inner) for inner in value.values())
    if isinstance(value, list):
        return any(has_float(inner) for inner in value)
    return isinstance(value, float)


WISHES = (ToolCall("1", "search", "{}"), ToolCall("2", "search", "no JSON"))
FAILURE = Failure(FailureKind.OVERLOADED)
SCRIPTS: Mapping[str, tuple[Script, set[str]]] = {
    "plain": (Script("Yes."), {"start", "token", "usage", "done"}),
    "slow": (
        Script("Yes.", first_delay_us=50_000),
        {"start", "ping", "token", "usage", "done"},
    ),
    "tools": (
        Script("Yes.", reasoning="Hm.", tool_calls=WISHES),
        {"start", "reasoning", "token", "tool_call", "usage", "done"},
    ),
    "failed": (
        Script("Yes.", reasoning="Hm.", tool_calls=WISHES, failure=FAILURE, fail_after=3),
        {"start", "reasoning", "token", "tool_call", "usage", "error"},
    ),
}


def example_of(path: str, script: Script, **changes: Any) -> Case[Any]:
    """The request that the document has as an example of *path*, with *changes*."""
    operation = described(script)[path]["POST"]
    body = operation.definition.raw["requestBody"]["content"]["application/json"]
    (example,) = body["examples"].values()
    return operation.Case(body={**example["value"], **changes}, media_type="application/json")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(("script", "names"), SCRIPTS.values(), ids=SCRIPTS)
def test_the_example_is_answered_with_events_as_the_document_says(
    path: str, script: Script, names: set[str]
) -> None:
    case = example_of(path, script, model="scripted")
    response = case.call()

    assert response.status_code == 200
    assert response.headers["content-type"] == ["text/event-stream"]
    case.validate_response(response)
    if path == "/api/chat":
        frames = response.text.split("\n\n")[:-1]
        told = {frame.partition("\n")[0].removeprefix("event: ") for frame in frames}
        assert names <= told <= names | {"ping"}


@pytest.mark.parametrize("path", WHOLE)
@pytest.mark.parametrize("name", ["plain", "tools", "failed"])
def test_an_answer_in_one_piece_is_as_the_document_says(path: str, name: str) -> None:
    case = example_of(path, SCRIPTS[name][0], model="scripted", stream=False)
    response = case.call()

    # An overloaded provider has a status of its own in Anthropic's wire alone.
    overloaded = 529 if path == "/v1/messages" else 503
    assert response.status_code == (overloaded if name == "failed" else 200)
    assert response.headers["content-type"] == ["application/json"]
    case.validate_response(response, excluded_checks=[not_a_server_error])


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


def test_the_document_is_one() -> None:
    schema.validate()


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
