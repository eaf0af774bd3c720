"""What no wire's text may be, although its JSON is right: a text with a NUL, a blank question."""

import json
from collections.abc import Callable, Sequence
from typing import Final

from chatnest.adapters.transport.flaws import NESTED_TOO_DEEPLY, inner_path
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Role

_NUL: Final = "\x00"
# JSON has no other way to write one.
_ESCAPED_NUL: Final = b"\\u0000"


def refuse_nul(body: bytes) -> None:
    """Refuse a *body* in which any text or name holds a NUL.

    It is JSON that :func:`~chatnest.adapters.transport.flaws.refuse_repeated_names` took.
    C code, llama.cpp's among it, ends a text there, and PostgreSQL stores none.

    Raises:
        InvalidRequestError: one does; names the first such field.
    """
    if _ESCAPED_NUL not in body:
        return
    try:
        value = json.loads(body)
    except RecursionError as error:
        raise InvalidRequestError(NESTED_TOO_DEEPLY) from error
    field = _field_with_nul(value)
    if field is not None:
        raise InvalidRequestError("holds a NUL character (U+0000); remove it", field=field or None)


def refuse_empty_question(
    messages: Sequence[Message],
    field_of: Callable[[int], str] = "messages[{}].content".format,
    *,
    field: str = "messages",
) -> None:
    """Refuse *messages* whose last one by the user is blank: its answer costs as much as any.

    Earlier messages may be empty: a client that was stopped before the first token has an empty
    answer in its history. *field_of* names the text of the message at an index, *field* all.

    Raises:
        InvalidRequestError: it is blank, or no message is the user's.
    """
    for index in reversed(range(len(messages))):
        said = messages[index]
        if said.role is Role.USER:
            if not said.images and not said.content.strip():
                raise InvalidRequestError("is blank; say something", field=field_of(index))
            return
    raise InvalidRequestError('must hold a message with the role "user"', field=field)


def _field_with_nul(body: object) -> str | None:
    """The path of the first text with a NUL; of a name with one, that of its object."""
    left: list[tuple[object, str]] = [(body, "")]
    while left:
        value, path = left.pop()
        if isinstance(value, str):
            if _NUL in value:
                return path
        elif isinstance(value, list):
            left += [(item, f"{path}[{index}]") for index, item in enumerate(value)][::-1]
        elif isinstance(value, dict):
            for name, item in reversed(value.items()):
                left += ((item, inner_path(path, name)), (name, path))
    return None
