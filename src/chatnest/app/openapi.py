"""How the chat routes are described in the application's OpenAPI document.

The routes read raw bytes, so that every dialect can answer bad input in its own form; Litestar
therefore cannot see their bodies, and they are described here from the very types that decode them.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar.enums import MediaType
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


def error_responses(
    *statuses: tuple[int, str], error: type | None = ErrorBody
) -> dict[int, ResponseSpec]:
    """A response with an *error* for each status and its description; None: as plain text."""
    return {
        status: json_response(error, description)
        if error is not None
        else ResponseSpec(str, description=description, media_type=MediaType.TEXT)
        for status, description in statuses
    }


_STREAM_DESCRIPTION = "The answer as server-sent events; the schema is that of one event."
_WHOLE_DESCRIPTION = "The answer, in one piece or as server-sent events, as the request says."


def chat_responses(error: type | None) -> dict[int, ResponseSpec]:
    """What a chat is answered with instead of an answer, in a dialect whose errors are *error*."""
    return error_responses(
        (400, "The request is not understood; names the field and the reason."),
        (401, "A key is needed, or the one that was sent is not known."),
        (402, "A budget is exhausted, where the dialect's clients would try 429 again."),
        (403, "The caller may not use this profile or model."),
        (409, "The Idempotency-Key was used before."),
        (413, "The request is larger than its limit."),
        (429, "A limit refuses the request; says which, what is left, and when it resets."),
        (500, "The server failed."),
        (502, "The model provider failed."),
        (503, "No answer can be begun at the moment: the ledger, the provider, or shutdown."),
        (504, "The model provider took too long."),
        (529, "The model provider is overloaded."),
        error=error,
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
    body_type: type, example: object, event: Mapping[str, Any], *, is_whole_too: bool
) -> type[Operation]:
    """An operation that takes JSON of *body_type*, as *example* is, and answers with a stream.

    *event* is the schema of one event. With *is_whole_too* the answer may be one JSON object.
    """

    @dataclass
    class StreamingOperation(Operation):
        def __post_init__(self) -> None:
            body = OpenAPIMediaType(
                schema=_GivenSchema(given=_schema_of(body_type)),
                examples={"plain": Example(value=example)},
            )
            self.request_body = RequestBody({"application/json": body}, required=True)
            stream = OpenAPIMediaType(schema=_GivenSchema(given=dict(event)))
            content = {"text/event-stream": stream}
            if is_whole_too:
                content["application/json"] = OpenAPIMediaType(schema=Schema())
            described = _WHOLE_DESCRIPTION if is_whole_too else _STREAM_DESCRIPTION
            answer = OpenAPIResponse(described, content=content)
            self.responses = {**(self.responses or {}), "200": answer}

    return StreamingOperation


def json_operation(body_type: type) -> type[Operation]:
    """An operation that takes JSON of *body_type*."""

    @dataclass
    class JsonOperation(Operation):
        def __post_init__(self) -> None:
            body = OpenAPIMediaType(schema=_GivenSchema(given=_schema_of(body_type)))
            self.request_body = RequestBody({"application/json": body}, required=True)

    return JsonOperation


def one_of_events(events: Mapping[str, type | None]) -> dict[str, Any]:
    """The schema of one of *events*, which says for each name what its data is, as JSON."""
    return {"anyOf": [_schema_of_event(*event) for event in events.items()]}


def one_with_fields(*names: str) -> dict[str, Any]:
    """The schema of an event whose data is a JSON object with the fields *names*, or ``[DONE]``."""
    fields = {"type": "object", "required": list(names)}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": fields}
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


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
    return dict(_written_out(schemas[0], components, frozenset()))


def _written_out(schema: Any, components: dict[str, Any], within: frozenset[str]) -> Any:
    """*schema* without references; what holds itself is anything where it does so again."""
    if isinstance(schema, list):
        return [_written_out(item, components, within) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return {key: _written_out(value, components, within) for key, value in schema.items()}
    name = reference.rpartition("/")[2]
    if name in within:
        return {}
    return _written_out(components[name], components, within | {name})
