"""JSON schemas of bodies, and of the events of a stream as a client reads them."""

from collections.abc import Mapping
from typing import Any

import msgspec

JsonSchema = dict[str, Any]


def schema_of(body_type: Any) -> JsonSchema:
    """The schema of *body_type*, with every reference written out."""
    schemas, components = msgspec.json.schema_components([body_type], schema_hook=_anything)
    return dict(_written_out(schemas[0], components, frozenset()))


def object_with(*names: str, **properties: JsonSchema) -> JsonSchema:
    """A JSON object that has the fields *names*, of any kind, and *properties* as they say."""
    return {"type": "object", "properties": properties, "required": [*names, *properties]}


def one_of(*schemas: JsonSchema) -> JsonSchema:
    """Whatever one of *schemas* allows."""
    return {"anyOf": list(schemas)}


def event(data: JsonSchema, name: str | None = None) -> JsonSchema:
    """A server-sent event with *data* as JSON, called *name*; None: it has no name."""
    told = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return _event(told, name)


def plain_event(data: str, name: str | None = None) -> JsonSchema:
    """A server-sent event whose data is the text *data*, called *name*; None: it has no name."""
    return _event({"const": data}, name)


def events_by_name(events: Mapping[str, type | None]) -> JsonSchema:
    """One of *events*, which says for each name of what type its data is; None: it is empty."""
    return one_of(
        *(
            plain_event("", name) if data is None else event(schema_of(data), name)
            for name, data in events.items()
        )
    )


def typed_objects(fields: Mapping[str, tuple[str, ...]]) -> list[JsonSchema]:
    """JSON objects by their ``type``, each with the fields that it cannot be without."""
    return [object_with(*names, type={"const": kind}) for kind, names in fields.items()]


def _event(data: JsonSchema, name: str | None) -> JsonSchema:
    named = {} if name is None else {"event": {"const": name}}
    return object_with(**named, data=data)


def _anything(kind: type) -> JsonSchema:
    if kind is object:
        return {"description": "any JSON value"}
    raise NotImplementedError


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
