"""The OpenAPI document, and whether the application does what it says."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from chatnest import (
    AuthConfig,
    ChatNestConfig,
    ChatNestPlugin,
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
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.messages import ToolCall

# What a conversation can be refused for although a JSON schema cannot rule it out.
BEYOND_SCHEMAS = ("is blank", 'must hold a message with the role "user"', "holds a NUL", "no such")
JSON_ERRORS = {
    "post /api/chat": {"400", "401", "403", "429", "503"},
    "get /api/usage": {"400", "401", "503"},
    "get /health/live": set(),
    "get /health/ready": {"503"},
}


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
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
def test_every_request_is_answered_as_the_document_says(case: Case[Any]) -> None:
    response = case.call()

    case.validate_response(response, excluded_checks=[positive_data_acceptance])
    if is_good(case) and response.status_code == 400:
        assert response.json()["reason"].startswith(BEYOND_SCHEMAS)


def is_good(case: Case[Any]) -> bool:
    """Whether *case* keeps to the document; to a JSON schema even 1.0 is an integer."""
    fields = case.body.values() if isinstance(case.body, dict) else ()
    meant_well = case.meta is not None and case.meta.generation.mode.is_positive
    return meant_well and not any(isinstance(value, float) for value in fields)


WISHES = (ToolCall("1", "search", "{}"),)
FAILURE = Failure(FailureKind.OVERLOADED)


@pytest.mark.parametrize(
    ("script", "names"),
    [
        (Script("Yes."), {"start", "token", "usage", "done"}),
        (Script("Yes.", first_delay_us=50_000), {"start", "ping", "token", "usage", "done"}),
        (
            Script("Yes.", reasoning="Hm.", tool_calls=WISHES, failure=FAILURE, fail_after=3),
            {"start", "reasoning", "token", "tool_call", "usage", "error"},
        ),
    ],
)
def test_the_example_is_answered_with_events_as_the_document_says(
    script: Script, names: set[str]
) -> None:
    chat = described(script)["/api/chat"]["POST"]
    body = chat.definition.raw["requestBody"]["content"]["application/json"]
    (example,) = body["examples"].values()
    case = chat.Case(body=example["value"])
    response = case.call()

    assert response.status_code == 200
    assert response.headers["content-type"] == ["text/event-stream"]
    frames = response.text.split("\n\n")[:-1]
    told = {frame.partition("\n")[0].removeprefix("event: ") for frame in frames}
    assert names <= told <= names | {"ping"}
    case.validate_response(response)


def test_the_document_is_one() -> None:
    schema.validate()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = dict(operations(document))
    assert described.keys() == JSON_ERRORS.keys()
    assert len({operation["operationId"] for operation in described.values()}) == len(described)
    for operation in described.values():
        assert operation["summary"]
        assert operation["tags"]
        assert all(response["description"] for response in operation["responses"].values())


def test_every_error_is_described_as_the_same_json(document: dict[str, Any]) -> None:
    reference = {"schema": {"$ref": "#/components/schemas/ErrorBody"}}
    for name, operation in operations(document):
        errors = {status: r for status, r in operation["responses"].items() if status != "200"}
        assert errors.keys() == JSON_ERRORS[name]
        assert all(error["content"] == {"application/json": reference} for error in errors.values())
    body = document["components"]["schemas"]["ErrorBody"]
    assert set(body["required"]) == {"error", "code", "retryable"}
    optional = {"field", "reason", "retryAfterSeconds", "limit"}
    assert body["properties"].keys() == {"error", "code", "retryable"} | optional


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

    (name,) = document["components"]["securitySchemes"]
    scheme = document["components"]["securitySchemes"][name]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    needed = {path: operation.get("security") for path, operation in operations(document)}
    chat, usage = needed.pop("post /api/chat"), needed.pop("get /api/usage")
    assert chat == usage == [{name: []}]
    assert set(needed.values()) == {None}
    schemathesis.openapi.from_dict(document).validate()


def test_no_key_is_described_where_none_is_needed(document: dict[str, Any]) -> None:
    assert "securitySchemes" not in document["components"]
    assert all("security" not in operation for _, operation in operations(document))


def test_a_chat_is_answered_with_events_and_nothing_else(document: dict[str, Any]) -> None:
    answer = document["paths"]["/api/chat"]["post"]["responses"]["200"]
    assert answer["content"].keys() == {"text/event-stream"}
