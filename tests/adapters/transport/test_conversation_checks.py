"""Conversations that are worth no answer: a blank question, and a NUL in what a person wrote."""

from collections.abc import Sequence

import pytest

from chatnest.adapters.transport.conversation_checks import (
    Said,
    refuse_empty_question,
    refuse_written_nul,
)
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import ImagePart, Message, Role, TextPart, ToolCall

PICTURE = ImagePart("https://example.com/cat.png")
HELLO = Message(Role.USER, "Hello")
SILENCE = Message(Role.USER, " \n\u2028")
ANSWER = Message(Role.ASSISTANT, "")
CALLING = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("1", "weather", "{}"),))
RESULT = Message(Role.TOOL, "rain", tool_call_id="1")


def said(messages: Sequence[Message]) -> list[Said]:
    return [(f"messages[{index}].content", message) for index, message in enumerate(messages)]


@pytest.mark.parametrize(
    "messages",
    [
        [HELLO],
        [SILENCE, ANSWER, HELLO],
        [HELLO, ANSWER],
        [Message.of_parts(Role.USER, [PICTURE])],
        [Message.of_parts(Role.USER, [TextPart(" "), PICTURE])],
    ],
)
def test_a_last_question_that_asks_something_is_taken(messages: list[Message]) -> None:
    refuse_empty_question(reversed(said(messages)))


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([HELLO, ANSWER, SILENCE], "messages[2].content"),
        ([SILENCE, ANSWER], "messages[0].content"),
        ([Message.of_parts(Role.USER, [TextPart(""), TextPart(" ")])], "messages[0].content"),
        ([Message(Role.SYSTEM, "x"), ANSWER], "messages"),
        ([], "messages"),
    ],
)
def test_a_last_question_that_asks_nothing_is_refused(messages: list[Message], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        refuse_empty_question(reversed(said(messages)))
    assert caught.value.field == field


def test_a_wire_names_its_fields_itself() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        refuse_empty_question([("input[0]", SILENCE)], field="input")
    assert caught.value.field == "input[0]"
    with pytest.raises(InvalidRequestError) as caught:
        refuse_empty_question([], field="input")
    assert caught.value.field == "input"


@pytest.mark.parametrize("asked", [[SILENCE], []])
def test_what_came_of_tools_is_enough_where_a_wire_says_so(asked: list[Message]) -> None:
    newest_first = said([*asked, CALLING, RESULT])[::-1]
    refuse_empty_question(newest_first, results_are_enough=True)
    with pytest.raises(InvalidRequestError):
        refuse_empty_question(newest_first)
    with pytest.raises(InvalidRequestError, match="blank"):
        refuse_empty_question([("again", SILENCE), *newest_first], results_are_enough=True)


def test_a_nul_is_refused_in_what_people_write_and_let_be_elsewhere() -> None:
    with pytest.raises(InvalidRequestError, match="NUL") as caught:
        refuse_written_nul(said([HELLO, Message(Role.USER, "a\0b")]))
    assert caught.value.field == "messages[1].content"
    refuse_written_nul(said([HELLO, Message(Role.ASSISTANT, "a\0b")]))
