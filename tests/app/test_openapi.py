"""The OpenAPI document, and whether the application does what it says."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from chatnest import ChatNestConfig, ChatNestPlugin, Principal, ProfileConfig
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import ScriptedProvider
from chatnest.adapters.providers.scripted import Script
from chatnest.adapters.transport.chatnest_body import ChatBody, MessageBody
from chatnest.app.auth import Connection

# What a conversation can be refused for although a JSON schema allows it.
BEYOND_SCHEMAS = ("is blank", 'must hold a message with the role "user"', "holds a NUL", "no such")


def application() -> Litestar:
    """An application that says what it is told, to callers that never run out of requests."""
    callers = count()

    def somebody_new(connection: Connection) -> Principal:
        return Principal(f"caller-{next(callers)}")

    plugin = ChatNestPlugin(
        # A generated text is often a zero.
        ChatNestConfig(client_system_prompt=True, profiles={"0": ProfileConfig()}),
        provider=ScriptedProvider(SystemClock(), Script()),
        resolve_principal=somebody_new,
    )
    document = OpenAPIConfig(title="ChatNest", version="1")
    return Litestar(plugins=[plugin], openapi_config=document, logging_config=None)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return application().openapi_schema.to_schema()


APPLICATION = application()
schema = schemathesis.openapi.from_dict(APPLICATION.openapi_schema.to_schema())
schema.app = APPLICATION


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


@schema.parametrize()
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
def test_every_request_is_answered_as_the_document_says(case: schemathesis.Case) -> None:
    response = case.call()

    case.validate_response(response, excluded_checks=[positive_data_acceptance])
    if is_good(case) and response.status_code == 400:
        assert response.json()["reason"].startswith(BEYOND_SCHEMAS)


def is_good(case: schemathesis.Case) -> bool:
    """Whether *case* keeps to the document; to a JSON schema even 1.0 is an integer."""
    fields = case.body.values() if isinstance(case.body, dict) else ()
    meant_well = case.meta is not None and case.meta.generation.mode.is_positive
    return meant_well and not any(isinstance(value, float) for value in fields)
