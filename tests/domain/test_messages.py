"""Messages, and the text of them that is counted."""

from dataclasses import FrozenInstanceError

import pytest

from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall


def test_a_message_without_tools_is_its_content() -> None:
    assert Message(Role.USER, "hello").text == "hello"


def test_a_tool_call_is_read_and_counted_with_its_arguments() -> None:
    calls = (ToolCall("c1", "search", '{"q":1}'), ToolCall("c2", "now", ""))
    assert Message(Role.ASSISTANT, "wait", calls).text.split("\n") == [
        "wait",
        "c1",
        "search",
        '{"q":1}',
        "c2",
        "now",
        "",
    ]


def test_a_tool_result_is_counted_with_the_call_that_it_answers() -> None:
    assert Message(Role.TOOL, "42", tool_call_id="c1").text == "42\nc1"


LOOK, PICTURE = TextPart("look"), ImagePart("https://a/b.png")


def test_a_single_text_needs_no_parts() -> None:
    assert Message.of_parts(Role.USER, [LOOK]) == Message(Role.USER, "look")
    assert Message.of_parts(Role.ASSISTANT, []) == Message(Role.ASSISTANT, "")


def test_parts_are_kept_in_their_order_and_their_texts_are_the_content() -> None:
    message = Message.of_parts(Role.USER, [LOOK, PICTURE, TextPart("closer")])
    assert message.parts == (LOOK, PICTURE, TextPart("closer"))
    assert message.content == message.text == "look\ncloser"
    assert message.images == (PICTURE,)


def test_a_thought_is_read_and_counted_and_its_seal_is_not() -> None:
    thought = ReasoningPart("hm", signature="sealed")
    message = Message.of_parts(Role.ASSISTANT, [thought, LOOK])
    assert message.content == "look"
    assert message.text == "look\nhm"


def test_a_message_never_changes() -> None:
    message = Message(Role.USER, "hello")
    with pytest.raises(FrozenInstanceError):
        message.content = "bye"  # type: ignore[misc]  # what is tested


def test_messages_are_values() -> None:
    assert {Message(Role.USER, "a"), Message(Role.USER, "a")} == {Message(Role.USER, "a")}
    assert not Message(Role.USER, "a").pinned
