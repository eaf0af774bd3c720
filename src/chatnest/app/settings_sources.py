"""Where settings come from; what comes later wins.

    defaults  <  chatnest.toml  <  CHATNEST_… variables  <  flags

Tables are merged name by name; a list replaces the earlier list. A name that is not known is
refused in every source, because a misspelt limit that is silently dropped costs money.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, get_origin

import msgspec

from chatnest.app.config import ChatNestConfig
from chatnest.app.config_checks import check
from chatnest.app.settings_tree import (
    checked_value,
    field_type,
    is_free,
    joined,
    without_none,
)
from chatnest.domain.errors import ConfigurationError

DEFAULT_FILE = "chatnest.toml"
PREFIX = "CHATNEST_"
FILE_VARIABLE = "CHATNEST_CONFIG"
RESOLVED_VARIABLE = "CHATNEST_RESOLVED_CONFIG"
"""Carries a whole configuration, as JSON, from a server to its worker processes."""

# Kubernetes describes a Service called "chatnest" under these names to every container of its
# namespace: kubernetes.io/docs/concepts/services-networking/service, "Environment variables".
_SERVICE_LINK = re.compile(
    r"CHATNEST_(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    usual: Mapping[str, object] | None = None,
) -> ChatNestConfig:
    """The configuration that all sources together give.

    *file* None takes the one that ``CHATNEST_CONFIG`` names, or ``chatnest.toml`` in the working
    directory if it is there. *environ* None takes the process's own. Flags that are None were
    not given. *usual* replaces defaults.

    Raises:
        ConfigurationError: a source cannot be read, or says what cannot work.
    """
    environ = os.environ if environ is None else environ
    found = find_file(file, environ)
    merged = _merge(usual or {}, {} if found is None else read_file(found))
    merged = _merge(merged, read_environment(environ))
    merged = _merge(merged, read_flags(flags or {}))
    return check(msgspec.convert(merged, ChatNestConfig))


def find_file(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read; None where none was named and there is none in the working directory.

    Raises:
        ConfigurationError: a file was named and is not there.
    """
    named = environ.get(FILE_VARIABLE)
    path = file or (Path(named) if named else None)
    if path is None:
        default = Path(DEFAULT_FILE)
        return default if default.is_file() else None
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}. Name one that exists, or none.")
    return path


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file.

    Raises:
        ConfigurationError: it cannot be read, is not TOML, or says what is not known.
    """
    try:
        # Decimal keeps an amount of money as it was written.
        values = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}.") from error
    settings: dict[str, Any] = _from_source(str(path), values, ChatNestConfig, "")
    return settings


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings in ``CHATNEST_…`` variables; an empty variable counts as not set.

    Two underscores go down into a table: ``CHATNEST_TIME_LIMITS__IDLE_S``. Whole tables and lists
    are written as JSON, or as in TOML.

    Raises:
        ConfigurationError: a variable names no setting, or its value does not fit.
    """
    settings: dict[str, Any] = {}
    for variable, text in sorted(environ.items()):
        if variable.startswith(PREFIX) and text and not _is_foreign(variable, text):
            names = variable.removeprefix(PREFIX).lower().split("__")
            settings = _merge(settings, _nested(names, _read_variable(variable, names, text)))
    return settings


def read_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    """The settings given as flags of the command line, by the settings' names."""
    given = {name: value for name, value in flags.items() if value is not None}
    for name, value in given.items():
        flag = "--" + name.replace("_", "-")
        _from_source(flag, value, field_type(ChatNestConfig, name, ""), name)
    return given


def from_resolved(text: str) -> ChatNestConfig:
    """The configuration that a server handed on to this worker process."""
    return msgspec.json.decode(text, type=ChatNestConfig)


def to_resolved(config: ChatNestConfig) -> str:
    """*config* as a worker process reads it again, through ``CHATNEST_RESOLVED_CONFIG``."""
    return msgspec.json.encode(config).decode()


def _from_source(source: str, value: object, kind: Any, path: str, *, strict: bool = True) -> Any:
    try:
        return checked_value(value, kind, path, strict=strict)
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}: {error}") from None


def _is_foreign(variable: str, text: str) -> bool:
    if variable in (FILE_VARIABLE, RESOLVED_VARIABLE) or _SERVICE_LINK.fullmatch(variable):
        return True
    return variable == "CHATNEST_PORT" and _SERVICE_URL.match(text) is not None


def _read_variable(variable: str, names: list[str], text: str) -> Any:
    kind: Any = ChatNestConfig
    path = ""
    for name in names:
        kind = _inner_type(variable, kind, name, path)
        path = joined(path, name)
    if is_free(kind):
        return _from_source(variable, _parsed_or_text(text), kind, path)
    if _is_leaf(kind):
        return _from_source(variable, text, kind, path, strict=False)
    return _from_source(variable, _parsed(variable, text), kind, path)


def _inner_type(variable: str, kind: Any, name: str, path: str) -> Any:
    if get_origin(kind) is dict:
        return kind.__args__[1]
    if _is_leaf(kind) or get_origin(kind) is tuple:
        raise ConfigurationError(f"{variable}: {path} is no table; there is nothing inside it.")
    try:
        return without_none(field_type(kind, name, path))[0]
    except ConfigurationError as error:
        raise ConfigurationError(f"{variable}: {error}") from None


def _is_leaf(kind: Any) -> bool:
    is_section = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return not is_section and get_origin(kind) not in (dict, tuple)


def _parsed(variable: str, text: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        pass
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        raise ConfigurationError(
            f"{variable} must be written as JSON or as a TOML value, such as "
            '["one", "two"] or {name = 1}.'
        ) from None


def _parsed_or_text(text: str) -> object:
    # Not as TOML, to which a version such as 2026-10-21 is a date.
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text


def _nested(names: list[str], value: object) -> dict[str, Any]:
    for name in reversed(names):
        value = {name: value}
    return value  # type: ignore[return-value]  # there is at least one name


def _merge(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(earlier)
    for name, value in later.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value)
        merged[name] = value
    return merged
