"""What is sent of a conversation, case by case."""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import TypeVar, overload

import pytest

from chatnest.domain.messages import Message, Role, ToolCall
from chatnest.domain.trimming import PromptTooLarge, PromptUnit, Trimmed, trim

SYSTEM = Message(Role.SYSTEM, "Be brief.")
PLENTY = 1_000
T = TypeVar("T")


def user(text: str = "question", *, pinned: bool = False) -> Message:
    return Message(Role.USER, text, pinned=pinned)


def assistant(text: str = "answer", *, pinned: bool = False) -> Message:
    return Message(Role.ASSISTANT, text, pinned=pinned)


def calls(*ids: str, pinned: bool = False) -> Message:
    wishes = tuple(ToolCall(id, "look_up", "{}") for id in ids)
    return Message(Role.ASSISTANT, "", tool_calls=wishes, pinned=pinned)


def result(id: str | None, *, pinned: bool = False) -> Message:
    return Message(Role.TOOL, "found", tool_call_id=id, pinned=pinned)


def kept(
    messages: Sequence[Message],
    *,
    max_messages: int = PLENTY,
    token_limit: int = PLENTY,
    user_first: bool = False,
) -> tuple[int, ...]:
    """The indexes that are kept where every message weighs one token."""
    outcome = trim(
        messages,
        [1] * len(messages),
        max_messages=max_messages,
        token_limit=token_limit,
        user_first=user_first,
    )
    assert isinstance(outcome, Trimmed), outcome
    return outcome.kept


def refused(
    messages: Sequence[Message], *, max_messages: int = PLENTY, token_limit: int = PLENTY
) -> PromptTooLarge:
    weights = [1] * len(messages)
    outcome = trim(messages, weights, max_messages=max_messages, token_limit=token_limit)
    assert isinstance(outcome, PromptTooLarge), outcome
    return outcome


def test_a_conversation_within_its_limits_is_sent_whole() -> None:
    messages = [SYSTEM, user(), assistant(), user()]
    outcome = trim(messages, [7, 1, 2, 3], max_messages=3, token_limit=13)
    assert outcome == Trimmed(tuple(messages), tokens=13, kept=(0, 1, 2, 3))


def test_the_oldest_messages_go_first() -> None:
    assert kept([user(), assistant(), user(), assistant(), user()], max_messages=3) == (2, 3, 4)


def test_a_long_message_is_dropped_whole_with_everything_before_it() -> None:
    messages = [user(), assistant(), user("long"), assistant(), user()]
    outcome = trim(messages, [1, 1, 50, 1, 1], max_messages=PLENTY, token_limit=51)
    assert outcome == Trimmed((messages[3], messages[4]), tokens=2, kept=(3, 4))


def test_system_messages_are_kept_wherever_they_stand_and_count_as_no_message() -> None:
    messages = [SYSTEM, user(), SYSTEM, assistant(), user(), SYSTEM]
    assert kept(messages, max_messages=1) == (0, 2, 4, 5)


def test_system_messages_count_as_tokens() -> None:
    assert refused([SYSTEM, user()], token_limit=1) == PromptTooLarge(2, 1, PromptUnit.TOKENS)


def test_a_pinned_message_is_kept_and_counts() -> None:
    messages = [user(), assistant(pinned=True), user(), assistant(), user()]
    assert kept(messages, max_messages=3) == (1, 3, 4)


def test_the_last_turn_is_kept_with_all_that_was_answered_to_it() -> None:
    messages = [user(), assistant(), user(), assistant(), assistant()]
    assert kept(messages, max_messages=3) == (2, 3, 4)


def test_a_last_turn_of_too_many_messages_is_refused() -> None:
    messages = [user(), assistant(), assistant()]
    assert refused(messages, max_messages=2) == PromptTooLarge(3, 2, PromptUnit.MESSAGES)


def test_a_last_turn_of_too_many_tokens_is_refused_and_not_cut() -> None:
    outcome = trim([user(), user("long")], [1, 90], max_messages=PLENTY, token_limit=89)
    assert outcome == PromptTooLarge(90, 89, PromptUnit.TOKENS)


def test_too_many_messages_are_named_before_too_many_tokens() -> None:
    assert refused([user()], max_messages=0, token_limit=0).unit is PromptUnit.MESSAGES


def test_where_a_user_must_begin_an_answer_to_nothing_is_not_sent() -> None:
    conversation = [SYSTEM, user(), assistant(), calls("c"), result("c"), user(), assistant()]
    assert kept(conversation, max_messages=4, user_first=True) == (0, 5, 6)
    assert kept(conversation, max_messages=5, user_first=True) == (0, 1, 2, 3, 4, 5, 6)


def test_what_must_be_sent_is_sent_whoever_must_begin() -> None:
    assert kept([assistant(pinned=True), assistant(), user()], user_first=True) == (0, 1, 2)
    assert kept([assistant(), assistant()], user_first=True) == (1,)


def test_a_tool_exchange_counts_as_one_message() -> None:
    messages = [user(), calls("a", "b"), result("b"), result("a"), assistant(), user()]
    assert kept(messages, max_messages=3) == (1, 2, 3, 4, 5)


def test_a_tool_exchange_is_dropped_whole() -> None:
    messages = [user(), calls("a"), result("a"), assistant(), user()]
    assert kept(messages, token_limit=3) == (3, 4)


def test_an_agents_steps_belong_to_the_last_turn() -> None:
    messages = [user(), assistant(), user(), calls("a"), result("a"), calls("b"), result("b")]
    assert kept(messages, max_messages=3) == (2, 3, 4, 5, 6)


def test_a_pinned_result_keeps_its_call() -> None:
    messages = [calls("a"), result("a", pinned=True), assistant(), user()]
    assert kept(messages, max_messages=2) == (0, 1, 3)


@pytest.mark.parametrize(
    ("messages", "survivors"),
    [
        ([user(), result("a")], (0,)),
        ([user(), calls("a")], (0,)),
        ([user(), calls("a"), user()], (0, 2)),
        ([user(), calls("a", "b"), result("a"), user()], (0, 3)),
        ([user(), calls("a"), result("b"), user()], (0, 3)),
        ([user(), calls("a"), result(None), user()], (0, 3)),
        ([user(), calls("a"), result("a"), result("a"), user()], (0, 1, 2, 4)),
        ([user(), calls("a"), result("b"), result("a"), user()], (0, 1, 3, 4)),
        ([user(), calls("a"), assistant(), result("a"), user()], (0, 2, 4)),
        ([user(), calls("a"), SYSTEM, result("a"), user()], (0, 2, 4)),
        ([user(), calls("a"), calls("b"), result("a"), result("b"), user()], (0, 2, 4, 5)),
        ([calls("a", pinned=True), result("b", pinned=True), user()], (2,)),
    ],
)
def test_half_a_tool_exchange_is_never_sent(
    messages: list[Message], survivors: tuple[int, ...]
) -> None:
    assert kept(messages) == survivors


def test_calls_on_a_persons_message_mean_nothing() -> None:
    odd = Message(Role.USER, "question", tool_calls=(ToolCall("a", "look_up", "{}"),))
    assert kept([user(), odd, result("a")], max_messages=1) == (1,)


def test_without_a_user_message_the_last_unit_must_be_sent() -> None:
    messages = [SYSTEM, assistant(), calls("a"), result("a")]
    assert kept(messages, max_messages=1) == (0, 2, 3)
    assert refused(messages, max_messages=0) == PromptTooLarge(1, 0, PromptUnit.MESSAGES)


def test_system_messages_alone_are_a_prompt() -> None:
    assert kept([SYSTEM], max_messages=0) == (0,)


def test_an_empty_conversation_stays_empty() -> None:
    assert trim([], [], max_messages=0, token_limit=0) == Trimmed((), 0, ())


@pytest.mark.parametrize("weights", [[], [1, 1], [-1]])
def test_every_message_needs_one_weight_that_is_not_negative(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="one weight"):
        trim([user()], weights, max_messages=1, token_limit=9)


class CountedReads(Sequence[T]):
    """A sequence that counts how often one of its items is looked at."""

    def __init__(self, items: Sequence[T]) -> None:
        self._items = items
        self.reads = 0

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        self.reads += 1
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


@pytest.mark.parametrize(
    "turn",
    [
        [user(), assistant()],
        [user(), calls("a", "b"), result("b"), result("a")],
        [user(), calls("a"), result("b")],
        [user(pinned=True), SYSTEM],
        [assistant()],
    ],
)
def test_the_work_grows_in_step_with_the_conversation(turn: list[Message]) -> None:
    def reads(repeats: int) -> int:
        messages = CountedReads(turn * repeats)
        weights = CountedReads([0] * len(messages))
        trim(messages, weights, max_messages=PLENTY**2, token_limit=PLENTY)
        return messages.reads + weights.reads

    assert reads(400) <= 2 * reads(200)


def test_a_larger_limit_never_drops_what_a_smaller_one_kept() -> None:
    messages = [SYSTEM, user(pinned=True), calls("a"), result("a"), assistant(), user()]
    for small, large in combinations_with_replacement(range(2, 7), 2):
        assert set(kept(messages, max_messages=small)) <= set(kept(messages, max_messages=large))
