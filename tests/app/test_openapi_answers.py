"""Whether the application does what its OpenAPI document says."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from chatnest.adapters.providers.scripted import Script
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.messages import ToolCall
from tests.app.described_app import ENDPOINTS, WHOLE, application

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
# The scripted provider has no field that these wires pass on as it came.
PASSED_ON = ("this model's provider has no such setting",)
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
        *PASSED_ON,
        *OPENAI_TOOLS,
        "must be a text or a list of parts",
        "must be false: probabilities of tokens are not given",
    ),
    "/v1/responses": (
        *ANY_CHAT,
        *PICTURES,
        *PASSED_ON,
        *OPENAI_TOOLS,
        "is missing; an item of this type needs it",
        'belongs into an item of the type "reasoning"',
        "is not supported here; leave it out",
        'must have "name" and "schema"',
    ),
    "/v1/messages": (*ANY_CHAT, *PICTURES, *PASSED_ON, *ANTHROPIC_TOOLS),
    "/v1/messages/count_tokens": (*ANY_CHAT, *PICTURES, *PASSED_ON, *ANTHROPIC_TOOLS),
    "/api/usage": ("no such profile",),
}


def described(script: Script) -> OpenApiSchema:
    """What schemathesis makes of an application and its document."""
    app = application(script)
    described = schemathesis.openapi.from_dict(app.openapi_schema.to_schema())
    described.app = app
    return described


schema = described(Script())


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


def test_the_document_is_one() -> None:
    schema.validate()
