"""Hypothesis strategies for messages and conversations, for anyone who tests against them.

Identifiers are drawn from a handful, so that collisions and repeats happen.
"""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from chatnest.domain.messages import Message, Role, ToolCall

CALL_IDS = ("a", "b", "c")
_TEXT = st.text(max_size=8)
_SELDOM = st.sampled_from((False, False, False, True))


def user_messages(text: SearchStrategy[str] = _TEXT) -> SearchStrategy[Message]:
    """What a person says."""
    return st.builds(Message, st.just(Role.USER), text)


def assistant_messages(text: SearchStrategy[str] = _TEXT) -> SearchStrategy[Message]:
    """What a model answers, without tool calls."""
    return st.builds(Message, st.just(Role.ASSISTANT), text)


def system_messages(text: SearchStrategy[str] = _TEXT) -> SearchStrategy[Message]:
    """What the operator tells the model."""
    return st.builds(Message, st.just(Role.SYSTEM), text)


def tool_calls(text: SearchStrategy[str] = _TEXT) -> SearchStrategy[ToolCall]:
    """A call whose arguments may be no JSON, as a model may write it."""
    return st.builds(ToolCall, st.sampled_from(CALL_IDS), st.just("look_up"), text)


@st.composite
def tool_exchanges(draw: DrawFn, text: SearchStrategy[str] = _TEXT) -> list[Message]:
    """An assistant message with one to three calls, and a result for each, in any order."""
    calls = draw(st.lists(tool_calls(text), min_size=1, max_size=3, unique_by=lambda call: call.id))
    asked = Message(Role.ASSISTANT, draw(text), tool_calls=tuple(calls))
    answers = [Message(Role.TOOL, draw(text), tool_call_id=call.id) for call in calls]
    return [asked, *draw(st.permutations(answers))]


@st.composite
def turns(draw: DrawFn, text: SearchStrategy[str] = _TEXT) -> list[Message]:
    """A question, the tool exchanges that it led to, and perhaps an answer."""
    exchanges = draw(st.lists(tool_exchanges(text), max_size=2))
    answer = draw(st.lists(assistant_messages(text), max_size=1))
    return [draw(user_messages(text)), *(part for step in exchanges for part in step), *answer]


@st.composite
def conversations(
    draw: DrawFn, text: SearchStrategy[str] = _TEXT, max_turns: int = 4
) -> list[Message]:
    """A conversation as a provider takes it: system messages first, then one turn or more."""
    system = draw(st.lists(system_messages(text), max_size=2))
    said = draw(st.lists(turns(text), min_size=1, max_size=max_turns))
    return [*system, *(message for turn in said for message in turn)]


def plain_conversations(
    text: SearchStrategy[str] = _TEXT, max_messages: int = 12
) -> SearchStrategy[list[Message]]:
    """Users and assistants in any order, without system messages and tools; the user asks last."""
    said = st.lists(user_messages(text) | assistant_messages(text), max_size=max_messages - 1)
    return st.builds(lambda before, last: [*before, last], said, user_messages(text))


def ragged_conversations(
    text: SearchStrategy[str] = _TEXT, max_messages: int = 10
) -> SearchStrategy[list[Message]]:
    """Anything that a client could send, in any order, down to nothing at all.

    Calls without results, results without calls, repeated identifiers, any message pinned.
    """
    return st.lists(_any_messages(text), max_size=max_messages)


@st.composite
def _any_messages(draw: DrawFn, text: SearchStrategy[str]) -> Message:
    role = draw(st.sampled_from(Role))
    calls: tuple[ToolCall, ...] = ()
    answered: str | None = None
    if role is Role.ASSISTANT:
        calls = tuple(draw(st.lists(tool_calls(text), max_size=2)))
    if role is Role.TOOL:
        answered = draw(st.none() | st.sampled_from(CALL_IDS))
    return Message(role, draw(text), calls, answered, pinned=draw(_SELDOM))
