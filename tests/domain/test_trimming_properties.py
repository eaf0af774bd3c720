"""Trimming against an oracle that tries every possible answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from chatnest.domain.messages import Message, Role
from chatnest.domain.trimming import PromptTooLarge, PromptUnit, Trimmed, keeps_all, trim
from chatnest.testing.conversations import (
    conversations,
    plain_conversations,
    ragged_conversations,
)

WORDS = st.sampled_from(("", "x", "xx"))


@dataclass(frozen=True)
class Case:
    messages: list[Message]
    weights: list[int]
    max_messages: int
    token_limit: int
    user_first: bool

    def trimmed(self, *, more_messages: int = 0, more_tokens: int = 0) -> Trimmed | PromptTooLarge:
        return trim(
            self.messages,
            self.weights,
            max_messages=self.max_messages + more_messages,
            token_limit=self.token_limit + more_tokens,
            user_first=self.user_first,
        )


@st.composite
def cases(draw: DrawFn) -> Case:
    drawn = draw(ragged_conversations(WORDS) | conversations(WORDS))
    pins = draw(st.sets(st.integers(0, 12), max_size=2))
    messages = [
        replace(message, pinned=message.pinned or index in pins)
        for index, message in enumerate(drawn)
    ]
    weights = draw(st.lists(st.integers(0, 3), min_size=len(messages), max_size=len(messages)))
    limits = draw(st.integers(0, 8)), draw(st.integers(0, 14))
    return Case(messages, weights, *limits, draw(st.booleans()))


def exchanges(messages: Sequence[Message]) -> dict[int, list[int]]:
    """Each complete tool exchange, by looking ahead from its call: the first result for each
    call among the tool messages that follow directly."""
    complete = {}
    for start, message in enumerate(messages):
        if message.role is Role.ASSISTANT and message.tool_calls:
            end = start + 1
            while end < len(messages) and messages[end].role is Role.TOOL:
                end += 1
            answers: dict[str | None, int] = {}
            for index in range(start + 1, end):
                answers.setdefault(messages[index].tool_call_id, index)
            wanted = {call.id for call in message.tool_calls}
            if wanted <= set(answers):
                complete[start] = [start, *sorted(answers[id] for id in wanted)]
    return complete


def sendable(messages: Sequence[Message]) -> list[list[int]]:
    """The units of a conversation, in order."""
    complete = exchanges(messages)
    single = [
        [index]
        for index, message in enumerate(messages)
        if message.role is not Role.TOOL
        and not (message.role is Role.ASSISTANT and message.tool_calls)
    ]
    return sorted([*complete.values(), *single])


def split(case: Case) -> tuple[list[list[int]], list[list[int]]]:
    """The units that must be sent, and the others."""
    units = sendable(case.messages)
    roles = [case.messages[unit[0]].role for unit in units]
    spoken = [position for position, role in enumerate(roles) if role is not Role.SYSTEM]
    asked = [position for position in spoken if roles[position] is Role.USER]
    turn = max(asked or spoken, default=len(units))
    must: list[list[int]] = []
    may: list[list[int]] = []
    for position, unit in enumerate(units):
        pinned = any(case.messages[index].pinned for index in unit)
        is_required = roles[position] is Role.SYSTEM or pinned or position >= turn
        (must if is_required else may).append(unit)
    return must, may


def size(case: Case, units: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Messages and tokens of *units*."""
    spoken = [unit for unit in units if case.messages[unit[0]].role is not Role.SYSTEM]
    return len(spoken), sum(case.weights[index] for unit in units for index in unit)


def fits(case: Case, units: Sequence[Sequence[int]]) -> bool:
    messages, tokens = size(case, units)
    return messages <= case.max_messages and tokens <= case.token_limit


def is_led_in(
    case: Case, unit: list[int], units: Sequence[list[int]], must: Sequence[list[int]]
) -> bool:
    """Whether *unit* may go and stands before every user's message and all that must be sent."""
    stops = [one for one in units if case.messages[one[0]].role is Role.USER]
    stops += [one for one in must if case.messages[one[0]].role is not Role.SYSTEM]
    return unit not in must and unit < min(stops, default=[len(case.messages)])


@given(cases())
def test_the_answer_is_the_longest_of_all_suffixes_that_fit(case: Case) -> None:
    must, may = split(case)
    candidates = [must + may[start:] for start in range(len(may) + 1)]
    fitting = [units for units in candidates if fits(case, units)]
    outcome = case.trimmed()
    if not fitting:
        messages, tokens = size(case, must)
        is_long = messages > case.max_messages
        assert outcome == (
            PromptTooLarge(messages, case.max_messages, PromptUnit.MESSAGES)
            if is_long
            else PromptTooLarge(tokens, case.token_limit, PromptUnit.TOKENS)
        )
        return
    longest: Sequence[list[int]] = max(fitting, key=len)
    if case.user_first:
        longest = [unit for unit in longest if not is_led_in(case, unit, longest, must)]
    indexes = tuple(sorted(index for unit in longest for index in unit))
    assert outcome == Trimmed(
        messages=tuple(case.messages[index] for index in indexes),
        tokens=sum(case.weights[index] for index in indexes),
        kept=indexes,
    )


@given(cases())
def test_no_half_of_a_tool_exchange_is_left(case: Case) -> None:
    outcome = case.trimmed()
    if isinstance(outcome, PromptTooLarge):
        return
    open_calls: set[str] = set()
    for message in outcome.messages:
        if message.role is Role.TOOL:
            assert message.tool_call_id in open_calls
            open_calls.remove(message.tool_call_id)
            continue
        assert not open_calls
        if message.role is Role.ASSISTANT:
            open_calls = {call.id for call in message.tool_calls}
    assert not open_calls


@given(cases())
def test_system_pinned_and_last_user_messages_are_always_sent(case: Case) -> None:
    outcome = case.trimmed()
    if isinstance(outcome, PromptTooLarge):
        return
    asked = [i for i, message in enumerate(case.messages) if message.role is Role.USER]
    must = set(asked[-1:])
    must |= {i for i, message in enumerate(case.messages) if message.role is Role.SYSTEM}
    must |= {i for i in asked if case.messages[i].pinned}
    assert must <= set(outcome.kept)


@given(cases())
def test_trimming_twice_changes_nothing(case: Case) -> None:
    once = case.trimmed()
    if isinstance(once, PromptTooLarge):
        return
    weights = [case.weights[index] for index in once.kept]
    limits = case.max_messages, case.token_limit
    again = Case(list(once.messages), weights, *limits, case.user_first).trimmed()
    assert again == Trimmed(once.messages, once.tokens, tuple(range(len(once.messages))))


@given(cases(), st.integers(0, 3), st.integers(0, 3))
def test_a_larger_limit_keeps_a_superset(case: Case, more_messages: int, more_tokens: int) -> None:
    smaller = case.trimmed()
    if isinstance(smaller, PromptTooLarge):
        return
    larger = case.trimmed(more_messages=more_messages, more_tokens=more_tokens)
    assert isinstance(larger, Trimmed)
    assert set(smaller.kept) <= set(larger.kept)


@given(cases())
def test_a_refusal_names_exactly_the_room_that_is_missing(case: Case) -> None:
    outcome = case.trimmed()
    if isinstance(outcome, Trimmed):
        return
    missing = outcome.needed - outcome.limit
    assert missing > 0
    more = "more_messages" if outcome.unit is PromptUnit.MESSAGES else "more_tokens"
    enough, too_little = case.trimmed(**{more: missing}), case.trimmed(**{more: missing - 1})
    assert too_little == PromptTooLarge(outcome.needed, outcome.limit + missing - 1, outcome.unit)
    assert isinstance(enough, Trimmed) or enough.unit is not outcome.unit


@given(plain_conversations(WORDS), st.integers(1, 12))
def test_a_plain_history_without_token_pressure_keeps_its_last_messages(
    messages: list[Message], most: int
) -> None:
    weights = [len(message.content) for message in messages]
    outcome = trim(messages, weights, max_messages=most, token_limit=sum(weights))
    assert isinstance(outcome, Trimmed)
    assert outcome.messages == tuple(messages[-most:])


@given(conversations(WORDS))
def test_a_conversation_that_is_whole_and_fits_is_sent_as_it_is(messages: list[Message]) -> None:
    weights = [1] * len(messages)
    outcome = trim(messages, weights, max_messages=len(messages), token_limit=len(messages))
    assert outcome == Trimmed(tuple(messages), len(messages), tuple(range(len(messages))))


@given(cases())
def test_what_is_said_to_be_kept_whole_loses_nothing_but_for_its_weight(case: Case) -> None:
    limits = case.max_messages, case.user_first
    if keeps_all(case.messages, limits[0], user_first=limits[1]):
        weightless = replace(case, weights=[0] * len(case.messages)).trimmed()
        assert isinstance(weightless, Trimmed)
        assert list(weightless.messages) == case.messages


@given(plain_conversations(WORDS), st.integers(0, 3), st.booleans())
def test_a_plain_conversation_is_seen_to_be_kept_whole_up_to_the_limit(
    messages: list[Message], spare: int, user_first: bool
) -> None:
    spoken = [message for message in messages if message.role is not Role.SYSTEM]
    opens = not spoken or spoken[0].role is Role.USER
    kept = keeps_all(messages, len(spoken) + spare, user_first=user_first)
    assert kept is (opens or not user_first)
    assert not keeps_all(messages, len(spoken) - 1, user_first=user_first)
