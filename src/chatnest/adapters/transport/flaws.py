"""What exactly is wrong with a body that is not quite JSON, or that says one thing twice.

The fast decoder cannot tell either, so the standard library's parser reads the body once more.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

from chatnest.domain.errors import InvalidRequestError

NESTED_TOO_DEEPLY: Final = "the body is nested too deeply; send flat messages"
_NOT_JSON: Final = "the body is not valid JSON"

# What a request can hold is never deeper than this. Where so many values are no flaw, no more of
# them are looked at: a hostile body is not worth the time. A name is told back to a client only
# if it is short and plain.
_DEEPEST = 16
_MOST_VALUES = 10_000
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def unreadable(body: bytes) -> InvalidRequestError:
    """Why *body*, which the decoder could not read, is no JSON."""
    if not body.strip():
        return InvalidRequestError("the body is empty; send a JSON object")
    try:
        value = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        return InvalidRequestError(f"the body is not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        return InvalidRequestError(f"{_NOT_JSON}: {error.msg} at character {error.pos}")
    except RecursionError:
        return InvalidRequestError(NESTED_TOO_DEEPLY)
    except ValueError:
        return InvalidRequestError(f"{_NOT_JSON}: a number has too many digits")
    for inner, path in islice(_values(value, "", 0), _MOST_VALUES):
        flaw = _flaw(inner)
        if flaw is not None:
            return InvalidRequestError(flaw, field=path or None)
    return InvalidRequestError(_NOT_JSON)


def refuse_repeated_names(body: bytes) -> None:
    """Refuse a *body* in which an object gives a name twice, as I-JSON does (RFC 7493, 2.3).

    The decoder takes the last of the two, and a filter in front of this server may have judged
    the first.

    Raises:
        InvalidRequestError: a name is repeated, or only the fast decoder could read *body*.
    """
    try:
        _UNIQUE_NAMES.decode(body.decode("utf-8"))
    except RecursionError as error:
        raise InvalidRequestError(NESTED_TOO_DEEPLY) from error
    except ValueError as error:
        raise unreadable(body) from error


def inner_path(path: str, name: str) -> str:
    """The path of *name* in the object at *path*; of a name that is not plain, the object's."""
    return f"{path}.{name}".lstrip(".") if _PLAIN_NAME.fullmatch(name) else path


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    ((repeated, _),) = Counter(name for name, _ in pairs).most_common(1)
    plain = repeated if _PLAIN_NAME.fullmatch(repeated) else None
    raise InvalidRequestError("is given twice; send it once", field=plain)


_UNIQUE_NAMES = json.JSONDecoder(object_pairs_hook=_refuse_repeated)


def _flaw(value: object) -> str | None:
    """Why *value* is not JSON's, although the standard library's parser takes it."""
    if isinstance(value, str) and _SURROGATE.search(value):
        return "holds half of a surrogate pair; send whole characters"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a number that JSON has; send a finite one or none"
    return None


def _values(value: object, path: str, depth: int) -> Iterator[tuple[object, str]]:
    """*value* and all that is in it, each with its path."""
    yield value, path
    if depth == _DEEPEST:
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name, path
            yield from _values(item, inner_path(path, name), depth + 1)
