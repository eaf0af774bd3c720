"""How the chat routes are described in the application's OpenAPI document.

The routes read raw bytes, so that every dialect can answer bad input in its own form; Litestar
therefore cannot see their bodies, and they are described here from the very types that decode them.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from types import MappingProxyType
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
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityScheme,
)

from chatnest.adapters.transport.chatnest import ErrorBody
from chatnest.adapters.transport.usage_report import UsageReport
from chatnest.app.idempotency import KEY_HEADER, LONGEST_KEY
from chatnest.app.json_schemas import JsonSchema, schema_of


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
        else ResponseSpec(
            str, description=description, media_type=MediaType.TEXT, generate_examples=False
        )
        for status, description in statuses
    }


_STREAM_DESCRIPTION = "The answer as server-sent events; the schema is that of one event."
_WHOLE_DESCRIPTION = "The answer, in one piece or as server-sent events, as the request says."

_INSTEAD_OF_AN_ANSWER: Mapping[int, str] = MappingProxyType(
    {
        400: "The request is not understood; names the field and the reason.",
        401: "A key is needed, or the one that was sent is not known.",
        403: "The caller may not use this profile, or the model has no known price.",
        409: "The Idempotency-Key was used before.",
        413: "The request is larger than its limits, or than the model can take.",
        429: "A limit refuses the request; says which, what is left, and when it resets.",
        500: "The server failed.",
        502: "The model provider failed.",
        503: "No answer can be had at the moment: the ledger, the provider, or shutdown.",
        504: "The model provider took too long.",
        529: "The model provider is overloaded.",
    }
)


def chat_responses(error: type | None, statuses: Iterable[int]) -> dict[int, ResponseSpec]:
    """What a chat is answered with instead of an answer, in a dialect whose errors are *error*."""
    described = [(status, _INSTEAD_OF_AN_ANSWER[status]) for status in statuses]
    return error_responses(*described, error=error)


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


_KEYS = {
    "key": SecurityScheme("http", scheme="bearer", description="A key of this server."),
    "x-api-key": SecurityScheme(
        "apiKey", name="x-api-key", security_scheme_in="header", description="The same key."
    ),
}
KEY_NEEDED = [{name: list[str]()} for name in _KEYS]
"""One of the ways to send a key is enough."""


def with_keys(config: OpenAPIConfig) -> OpenAPIConfig:
    """*config* that also says how a key is sent to a route that needs one."""
    known = config.components if isinstance(config.components, list) else [config.components]
    described = copy(config)
    described.components = [*known, Components(security_schemes={**_KEYS})]
    return described


def _idempotency_key() -> Parameter:
    """The header of every request for an answer."""
    schema = Schema(
        type=OpenAPIType.STRING, min_length=1, max_length=LONGEST_KEY, pattern=_PRINTABLE
    )
    meaning = "The caller's own name for the request: under one name it is answered once."
    return Parameter(KEY_HEADER, "header", schema, meaning)


# HTTP takes spaces off both ends of a header.
_PRINTABLE = "^[!-~]([ -~]*[!-~])?$"


def answering_operation(
    body_type: type,
    example: object,
    event: Callable[[], JsonSchema],
    whole: Callable[[], JsonSchema] | None,
) -> type[Operation]:
    """An operation that takes JSON of *body_type*, as *example* is, and gives an answer.

    *event* gives the schema of one event of a stream, and *whole* that of an answer in one piece;
    None where every answer is a stream. Neither is asked before somebody reads the document.
    """

    @dataclass
    class AnsweringOperation(Operation):
        def __post_init__(self) -> None:
            body = OpenAPIMediaType(
                schema=_GivenSchema(given=schema_of(body_type)),
                examples={"plain": Example(value=example)},
            )
            self.request_body = RequestBody({"application/json": body}, required=True)
            self.parameters = [*(self.parameters or ()), _idempotency_key()]
            content = {"text/event-stream": OpenAPIMediaType(schema=_GivenSchema(given=event()))}
            described = _STREAM_DESCRIPTION
            if whole is not None:
                content["application/json"] = OpenAPIMediaType(schema=_GivenSchema(given=whole()))
                described = _WHOLE_DESCRIPTION
            answer = OpenAPIResponse(described, content=content)
            self.responses = {**(self.responses or {}), "200": answer}

    return AnsweringOperation


def json_operation(body_type: type) -> type[Operation]:
    """An operation that takes JSON of *body_type*."""

    @dataclass
    class JsonOperation(Operation):
        def __post_init__(self) -> None:
            body = OpenAPIMediaType(schema=_GivenSchema(given=schema_of(body_type)))
            self.request_body = RequestBody({"application/json": body}, required=True)

    return JsonOperation


@dataclass
class AlwaysValidOperation(Operation):
    """An operation whose parameters may be anything, although Litestar describes a 400 for them."""

    def __post_init__(self) -> None:
        self.responses = {s: r for s, r in (self.responses or {}).items() if s != "400"}


@dataclass
class _GivenSchema(Schema):
    """A schema that is JSON already."""

    given: JsonSchema = field(default_factory=dict)

    def to_schema(self) -> dict[str, Any]:
        return self.given
