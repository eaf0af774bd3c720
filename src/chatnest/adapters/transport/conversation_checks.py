"""What every conversation must be before it is worth an answer, in whatever shape it came."""

from collections.abc import Iterable, Iterator, Sequence

from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import Message, Role

_WRITTEN = frozenset({Role.USER, Role.SYSTEM})

Said = tuple[str, Message]
"""Where in the body a message stood, and what it means."""


def refuse_written_nul(conversation: Iterable[Said]) -> None:
    """C code, llama.cpp's among it, ends a text at a NUL.

    One that a model or a tool once wrote is let be: nobody could take it out of the history, and
    the conversation would be at its end.

    Raises:
        InvalidRequestError: there is one in what a person wrote.
    """
    for path, message in conversation:
        if message.role in _WRITTEN and "\x00" in message.content:
            raise InvalidRequestError("holds a NUL character (U+0000); remove it", field=path)


def latest_texts(messages: Sequence[Message]) -> Iterator[Said]:
    """*messages*, the newest first, where they are ``messages`` of a body, one for one."""
    for index in reversed(range(len(messages))):
        yield f"messages[{index}].content", messages[index]


def refuse_empty_question(
    newest_first: Iterable[Said], *, field: str = "messages", results_are_enough: bool = False
) -> None:
    """An answer to nothing costs as much as any.

    Earlier messages may be empty: a client that was stopped before the first token has an empty
    answer in its history. The conversation comes *newest_first*, to be read only as far back as it
    has to be. *field* is where the whole of it is. With *results_are_enough* what came of tools is
    something to answer, whatever was asked before it.

    Raises:
        InvalidRequestError: the last user message is blank, or there is none.
    """
    for path, message in newest_first:
        if results_are_enough and message.role is Role.TOOL:
            return
        if message.role is Role.USER:
            if not message.images and not message.content.strip():
                raise InvalidRequestError("is blank; say something", field=path)
            return
    raise InvalidRequestError('must hold a message with the role "user"', field=field)
