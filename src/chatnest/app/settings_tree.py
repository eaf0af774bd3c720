"""Checks a tree of settings along the types of :mod:`chatnest.app.config`.

msgspec would check it too, but would neither name the key of a table in its messages nor
suggest the name that was meant.
"""

import difflib
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from chatnest.domain.errors import ConfigurationError

_KINDS: Mapping[object, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN = 40


def checked_value(value: object, kind: Any, path: str, *, strict: bool = True) -> Any:
    """*value* with every leaf as the type *kind* says; tables and lists stay dicts and lists.

    *path* is where the value is, for messages. Without *strict* a text may stand for a number.

    Raises:
        ConfigurationError: a name is unknown or missing, or a value has the wrong type or range.
    """
    kind, optional = without_none(kind)
    if value is None and optional:
        return None
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _checked_section(_table(value, path), kind, path)
    if is_free(kind):
        return _checked_free(value, kind, path)
    origin = get_origin(kind)
    if origin is dict:
        inner = get_args(kind)[1]
        table = _table(value, path)
        return {key: checked_value(item, inner, joined(path, key)) for key, item in table.items()}
    if origin is tuple:
        inner = get_args(kind)[0]
        items = _list(value, path)
        return [checked_value(item, inner, f"{path}[{i}]") for i, item in enumerate(items)]
    return _checked_leaf(value, kind, path, strict=strict)


def field_type(section: type[msgspec.Struct], name: str, path: str) -> Any:
    """The type of the setting *name* of *section*, which is at *path*.

    Raises:
        ConfigurationError: there is no such setting; the nearest name is suggested.
    """
    kinds = {field.name: field.type for field in msgspec.structs.fields(section)}
    if name not in kinds:
        raise ConfigurationError(_unknown(name, list(kinds), path))
    return kinds[name]


def joined(path: str, key: str) -> str:
    """The path of *key* inside *path*, as TOML would write it."""
    shown = key if _BARE_KEY.fullmatch(key) else json.dumps(key)
    return f"{path}.{shown}" if path else shown


def without_none(kind: Any) -> tuple[Any, bool]:
    """*kind* without the None of a union, and whether it had one."""
    if get_origin(kind) not in (Union, UnionType):
        return kind, False
    (inner,) = (member for member in get_args(kind) if member is not NoneType)
    return inner, True


def is_free(kind: Any) -> bool:
    """Whether *kind* is whatever TOML and JSON can both say."""
    return get_origin(kind) is Annotated and get_args(kind)[0] is Any


def _checked_free(value: object, kind: Any, path: str) -> Any:
    """*value* in the types that JSON has, for whoever understands it."""
    match value:
        case str() | int():
            return value
        case float() | Decimal():
            return _checked_leaf(float(value), float, path, strict=True)
        case dict():
            return {
                key: _checked_free(item, kind, joined(path, key)) for key, item in value.items()
            }
        case list() | tuple():
            return [_checked_free(item, kind, f"{path}[{i}]") for i, item in enumerate(value)]
        case _:
            raise ConfigurationError(_wrong(value, _meaning(kind), path))


def _checked_section(
    table: Mapping[str, object], kind: type[msgspec.Struct], path: str
) -> dict[str, Any]:
    checked = {
        key: checked_value(item, field_type(kind, key, path), joined(path, key))
        for key, item in table.items()
    }
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in checked:
            raise ConfigurationError(f"{joined(path, field.name)} is missing; add it.")
    return checked


def _checked_leaf(value: object, kind: Any, path: str, *, strict: bool) -> Any:
    try:
        leaf = msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError:
        raise ConfigurationError(_wrong(value, _meaning(kind), path)) from None
    if isinstance(leaf, Decimal | float) and not math.isfinite(leaf):
        raise ConfigurationError(_wrong(value, "a finite number", path))
    return leaf


def _table(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigurationError(_wrong(value, "a table", path))
    return value


def _list(value: object, path: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise ConfigurationError(_wrong(value, "a list", path))
    return list(value)


def _meaning(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        metas = (meta for meta in kind.__metadata__ if isinstance(meta, msgspec.Meta))
        return next((meta.description for meta in metas if meta.description), "of its type")
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    return _KINDS[kind]


def _wrong(value: object, meaning: str, path: str) -> str:
    shown = repr(value)
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[:_LONGEST_SHOWN] + "…"
    return f"{path} must be {meaning}, not {shown}."


def _unknown(name: str, known: list[str], path: str) -> str:
    message = f"there is no setting {joined(path, name)}"
    if "api_key" in name.lower():
        return (
            f"{message}. Keys of providers are never in the configuration: set the environment "
            "variable that the provider's own library reads, such as OPENAI_API_KEY, or name "
            "another one in providers.NAME.api_key_env."
        )
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"{message}. Did you mean {joined(path, near[0])}?"
    return f"{message}. Known here: {', '.join(known)}."
