"""Trimming: which messages of a conversation are sent, so that the prompt fits its limits.

A message is sent whole or not at all, and so is a *unit*: one message, or an assistant's tool
calls together with the results that answer them. A unit counts as one message, so that an agent
is not cut off for the number of its tools.

Three things are always sent, or the prompt is refused as too large: the system messages (which
count as tokens, not as messages), the units with a pinned message in them, and the last user
turn, from the last user message to the end. A conversation without a user message has no such
turn; its last unit stands in for it, because that is what the answer continues. Everything else
is dropped oldest first: what is kept of it is one run of units that ends at the newest.

Half of a tool exchange is never sent, not even pinned, because every provider refuses the whole
request for it. Results must follow their call with only other tool messages between them.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from chatnest.domain.messages import Message, Role
from chatnest.domain.values import value

# To look a member up by its name takes longer than all else that is asked of most messages.
_SYSTEM, _USER, _ASSISTANT, _TOOL = Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL


class PromptUnit(StrEnum):
    """What a prompt's limit counts."""

    MESSAGES = "messages"
    TOKENS = "tokens"


@value
class Trimmed:
    """What is sent: ``messages`` in their order, which weigh ``tokens``.

    ``kept`` are their indexes in the conversation.
    """

    messages: tuple[Message, ...]
    tokens: int
    kept: tuple[int, ...]


@value
class PromptTooLarge:
    """What must be sent passes a limit: ``needed`` is its size, counted in ``unit``."""

    needed: int
    limit: int
    unit: PromptUnit = PromptUnit.TOKENS


class _Unit(NamedTuple):
    indexes: tuple[int, ...]
    tokens: int
    messages: int
    required: bool


def trim(
    messages: Sequence[Message],
    weights: Sequence[int],
    *,
    max_messages: int,
    token_limit: int,
    user_first: bool = False,
) -> Trimmed | PromptTooLarge:
    """The most recent part of a conversation that fits both limits.

    ``weights[i]`` is an upper bound of the tokens of message *i*, with what the model's template
    adds to it. With *user_first* what is kept does not begin, after the system's, with anybody but
    a user, unless that must be sent. A larger limit keeps a superset, trimming twice changes
    nothing, and the time is linear in the number of messages.

    Raises:
        ValueError: there is not one weight for each message, or one is negative.
    """
    if len(weights) != len(messages) or min(weights, default=0) < 0:
        raise ValueError("every message needs one weight that is not negative")
    total = sum(weights)
    if total <= token_limit and keeps_all(messages, max_messages, user_first=user_first):
        return Trimmed(tuple(messages), total, tuple(range(len(messages))))
    units = _units(messages, weights)
    count = sum(unit.messages for unit in units if unit.required)
    tokens = sum(unit.tokens for unit in units if unit.required)
    if count > max_messages:
        return PromptTooLarge(count, max_messages, PromptUnit.MESSAGES)
    if tokens > token_limit:
        return PromptTooLarge(tokens, token_limit, PromptUnit.TOKENS)
    first = _first_that_fits(units, max_messages - count, token_limit - tokens)
    kept = [unit for unit in units[:first] if unit.required] + units[first:]
    if user_first:
        kept = _from_first_user(kept, messages)
    indexes = tuple(index for unit in kept for index in unit.indexes)
    return Trimmed(
        messages=tuple(messages[index] for index in indexes),
        tokens=sum(unit.tokens for unit in kept),
        kept=indexes,
    )


def keeps_all(messages: Sequence[Message], max_messages: int, *, user_first: bool) -> bool:
    """Whether :func:`trim` drops nothing but for the weight of the messages; False if unsure.

    Nothing of nearly every conversation is dropped, and this is the cheapest way to see it. One
    with tools in it may hold half of an exchange: whether it does, its units tell.
    """
    spoken = [message for message in messages if message.role is not _SYSTEM]
    if len(spoken) > max_messages:
        return False
    if user_first and spoken and spoken[0].role is not _USER:
        return False
    return not [said for said in spoken if said.role is _TOOL or said.tool_calls]


def _first_that_fits(units: Sequence[_Unit], message_room: int, token_room: int) -> int:
    """Where the run of units begins whose optional ones fit beside all of the required."""
    for position in reversed(range(len(units))):
        unit = units[position]
        if unit.required:
            continue
        message_room -= unit.messages
        token_room -= unit.tokens
        if message_room < 0 or token_room < 0:
            return position + 1
    return 0


def _from_first_user(units: list[_Unit], messages: Sequence[Message]) -> list[_Unit]:
    """*units* without the optional ones before the first that is a user's, or is required."""
    for position, unit in enumerate(units):
        said = messages[unit.indexes[0]]
        if said.role is not _SYSTEM and (unit.required or said.role is _USER):
            return [one for one in units[:position] if one.required] + units[position:]
    return [unit for unit in units if unit.required]


def _units(messages: Sequence[Message], weights: Sequence[int]) -> list[_Unit]:
    groups = list(_complete_groups(messages))
    turn_start = _last_turn_start(messages, groups)
    system = {index for index, message in enumerate(messages) if message.role is _SYSTEM}
    required = {index for index, message in enumerate(messages) if message.pinned} | system
    required.update(range(turn_start, len(messages)))
    weight = weights.__getitem__
    return [
        _Unit(
            tuple(group),
            sum(map(weight, group)),
            0 if group[0] in system else 1,
            not required.isdisjoint(group),
        )
        for group in groups
    ]


def _complete_groups(messages: Sequence[Message]) -> Iterator[list[int]]:
    """The indexes of each unit; a result without its call, or a call without its, is in none."""
    group: list[int] = []
    unanswered: set[str] = set()
    for index, message in enumerate(messages):
        if message.role is _TOOL:
            if message.tool_call_id in unanswered:
                unanswered.remove(message.tool_call_id)
                group.append(index)
            continue
        if group and not unanswered:
            yield group
        group, unanswered = [index], _calls(message) if message.tool_calls else set()
    if group and not unanswered:
        yield group


def _last_turn_start(messages: Sequence[Message], groups: Sequence[Sequence[int]]) -> int:
    spoken = [group[0] for group in groups if messages[group[0]].role is not _SYSTEM]
    asked = [index for index in spoken if messages[index].role is _USER]
    return (asked or spoken or [len(messages)])[-1]


def _calls(message: Message) -> set[str]:
    return {call.id for call in message.tool_calls} if message.role is _ASSISTANT else set()
