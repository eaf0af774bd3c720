"""A tool's input as the model wrote it, made fit for the frames of the AI SDK."""

import json
import re
from typing import Final, NoReturn

# JSON's own; Python's has more, which a model's text may end with.
_WHITE_SPACE: Final = " \t\r\n"
_SURROGATE = re.compile("[\\ud800-\\udfff]")


def input_json(arguments: str) -> bytes | None:
    """*arguments* as JSON on one line; no text is no arguments.

    None where they are no JSON, as they are where a limit has cut them, and where an object in
    them gives a name that could reach a prototype: the client's parser throws the whole stream
    away for that.
    """
    text = arguments.strip(_WHITE_SPACE) or "{}"
    try:
        json.loads(text, object_hook=_refuse_prototype, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    # In JSON that is whole a line break is white space, and half of a surrogate pair in a text.
    line = text.replace("\n", " ").replace("\r", " ")
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", line).encode()


def _refuse_prototype(value: dict[str, object]) -> dict[str, object]:
    constructor = value.get("constructor")
    if "__proto__" in value or (isinstance(constructor, dict) and "prototype" in constructor):
        raise ValueError("names a prototype")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
