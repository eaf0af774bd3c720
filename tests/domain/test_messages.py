"""Messages, and the text of them that is counted."""

from dataclasses import FrozenInstanceError

import pytest

from chatnest.domain.messages import Message, Role, ToolCall


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


def test_a_message_never_changes() -> None:
    message = Message(Role.USER, "hello")
    with pytest.raises(FrozenInstanceError):
        message.content = "bye"  # type: ignore[misc]  # what is tested


def test_messages_are_values() -> None:
    assert {Message(Role.USER, "a"), Message(Role.USER, "a")} == {Message(Role.USER, "a")}
    assert not Message(Role.USER, "a").pinned
