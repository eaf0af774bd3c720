"""How the chat routes are described in the application's OpenAPI document.

The routes read raw bytes, so that every dialect can answer bad input in its own form; Litestar
therefore cannot see their bodies, and they are described here from the very types that decode them.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Components,
    Example,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
)

from chatnest.adapters.transport.chatnest import ErrorBody
from chatnest.adapters.transport.usage_report import UsageReport


class HealthBody(msgspec.Struct):
    """Whether the process is alive, or ready for chats."""

    status: str


def json_response(body_type: type, description: str) -> ResponseSpec:
    """A response whose body is JSON of *body_type*."""
    return ResponseSpec(body_type, description=description, generate_examples=False)


def error_responses(*statuses: tuple[int, str]) -> dict[int, ResponseSpec]:
    """A response with an ``ErrorBody`` for each status and its description."""
    return {status: json_response(ErrorBody, description) for status, description in statuses}


_STREAM_DESCRIPTION = "The answer as server-sent events; the schema is that of one event."

CHAT_EXAMPLE = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
CHAT_RESPONSES = error_responses(
    (400, "The request is not understood; names the field and the reason."),
    (401, "A key is needed, or the one that was sent is not known."),
    (403, "The caller may not use this profile or model."),
    (429, "A limit refuses the request; says which, what is left, and when it resets."),
    (503, "Nothing may be spent at the moment: the ledger does not answer, or shutdown."),
)
USAGE_RESPONSES = {
    200: json_response(UsageReport, "What the caller used, and has left of each limit."),
    **error_responses(
        (400, "No such profile, or no such number of days."),
        (401, "A key is needed, or the one that was sent is not known."),
        (503, "The ledger does not answer."),
    ),
}
READY_RESPONSES = {
    200: json_response(HealthBody, "New chats are taken."),
    **error_responses((503, "New chats would be refused.")),
}


KEY_NEEDED = [{"key": list[str]()}]


def with_keys(config: OpenAPIConfig) -> OpenAPIConfig:
    """*config* that also says what the ``key`` is which a route needs."""
    key = SecurityScheme("http", scheme="bearer", description="A key of this server.")
    known = config.components if isinstance(config.components, list) else [config.components]
    described = copy(config)
    described.components = [*known, Components(security_schemes={"key": key})]
    return described


def streaming_operation(
    body_type: type, example: object, events: Mapping[str, type | None]
) -> type[Operation]:
    """An operation that takes JSON of *body_type*, as *example* is, and answers with *events*.

    *events* says for each event's name what its data is, as JSON; None: it has none.
    """

    @dataclass
    class StreamingOperation(Operation):
        def __post_init__(self) -> None:
            body = OpenAPIMediaType(
                schema=_GivenSchema(given=_schema_of(body_type)),
                examples={"plain": Example(value=example)},
            )
            self.request_body = RequestBody({"application/json": body}, required=True)
            one_event = {"anyOf": [_schema_of_event(*event) for event in events.items()]}
            stream = OpenAPIMediaType(schema=_GivenSchema(given=one_event))
            answer = OpenAPIResponse(_STREAM_DESCRIPTION, content={"text/event-stream": stream})
            self.responses = {**(self.responses or {}), "200": answer}

    return StreamingOperation


@dataclass
class _GivenSchema(Schema):
    """A schema that is JSON already."""

    given: dict[str, Any] = field(default_factory=dict)

    def to_schema(self) -> dict[str, Any]:
        return self.given


def _schema_of_event(name: str, data_type: type | None) -> dict[str, Any]:
    """The schema of one event, as a client reads it."""
    data: dict[str, Any] = {"type": "string"}
    if data_type is None:
        data["maxLength"] = 0
    else:
        data |= {"contentMediaType": "application/json", "contentSchema": _schema_of(data_type)}
    return {
        "type": "object",
        "properties": {"event": {"const": name}, "data": data},
        "required": ["event", "data"],
    }


def _schema_of(body_type: type) -> dict[str, Any]:
    """The schema of *body_type*, with every reference written out."""
    schemas, components = msgspec.json.schema_components([body_type])
    return dict(_written_out(schemas[0], components))


def _written_out(schema: Any, components: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_written_out(item, components) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if reference is not None:
        return _written_out(components[reference.rpartition("/")[2]], components)
    return {key: _written_out(value, components) for key, value in schema.items()}
