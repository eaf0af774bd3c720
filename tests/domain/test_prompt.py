"""How a conversation is made to fit, and how much of it is counted for that."""

from dataclasses import replace

import pytest

from chatnest.domain.messages import ImagePart, Message, Role, TextPart
from chatnest.domain.profiles import Profile
from chatnest.domain.prompt import Asked, Prompt, PromptFitter
from chatnest.domain.tools import Tool
from chatnest.domain.trimming import PromptTooLarge, PromptUnit
from chatnest.domain.usage import TokenUsage
from tests.domain.chat_world import PROFILE, WordCounter

# The template of WordCounter: around each message, and around all.
EACH, ALL = 2, 3


def said(*texts: str) -> Asked:
    return Asked(tuple(Message(Role.USER, text) for text in texts))


def fitter(window: int | None = None) -> tuple[PromptFitter, WordCounter]:
    counter = WordCounter()
    return PromptFitter(counter, "model-1", window), counter


async def fitted(asked: Asked, profile: Profile = PROFILE, window: int | None = None) -> Prompt:
    prompt = await fitter(window)[0].fit(asked, profile)
    assert isinstance(prompt, Prompt), prompt
    return prompt


async def test_what_fits_by_its_bytes_is_not_counted() -> None:
    fit, counter = fitter()
    prompt = await fit.fit(said("four", "more"), PROFILE)

    both = tuple(said("four", "more").messages)
    assert prompt == Prompt(both, 8 + 2 * EACH + ALL, 100, counted=False)
    assert counter.counted == []


@pytest.mark.parametrize(("spare", "counted"), [(0, False), (-1, True)])
async def test_the_bound_is_used_up_to_the_last_byte(spare: int, counted: bool) -> None:
    text = "word " * 20
    exact = len(text) + EACH + ALL + PROFILE.max_output_tokens
    profile = replace(PROFILE, tokens_per_request=exact + spare)

    assert (await fitted(said(text), profile)).counted is counted


async def test_only_what_the_message_limit_could_keep_is_counted() -> None:
    fit, counter = fitter()
    texts = [f"{'x' * 500} {index}" for index in range(9)]
    await fit.fit(said(*texts), PROFILE)

    assert counter.counted == texts[-PROFILE.max_messages :]


async def test_a_last_turn_of_too_many_messages_is_refused_without_counting_them() -> None:
    most = PROFILE.max_messages
    answers = [Message(Role.ASSISTANT, "w " * 500) for _ in range(most)]
    fit, counter = fitter()
    refusal = PromptTooLarge(most + 1, most, PromptUnit.MESSAGES)
    asked = Asked((*said("w " * 500).messages, *answers))

    assert await fit.fit(asked, PROFILE) == await fit.fit_counted(asked, PROFILE) == refusal
    assert counter.counted == []


async def test_a_last_turn_may_eat_into_the_cap_down_to_its_minimum() -> None:
    words = 1_000 - EACH - ALL - PROFILE.min_output_tokens
    prompt = await fitted(said("w " * words))
    too_large = await fitter()[0].fit(said("w " * (words + 1)), PROFILE)

    assert (prompt.input_tokens, prompt.output_cap) == (990, 10)
    assert too_large == PromptTooLarge(words + 1 + EACH, words + EACH, PromptUnit.TOKENS)


async def test_older_turns_are_dropped_before_the_cap_shrinks() -> None:
    prompt = await fitted(said("w " * 500, "w " * 500))

    assert prompt.messages == said("w " * 500).messages
    assert prompt.output_cap == PROFILE.max_output_tokens


async def test_the_smaller_of_request_limit_and_context_window_counts() -> None:
    prompt = await fitted(said("w " * 50), window=80)

    assert prompt.input_tokens + prompt.output_cap == 80
    assert (await fitted(said("w " * 50), window=10_000)).output_cap == PROFILE.max_output_tokens


async def test_a_prompt_that_was_sent_is_counted_with_its_template() -> None:
    fit, counter = fitter()

    assert await fit.count(said("one two", "three")) == 3 + 2 * EACH + ALL
    assert await fit.count_text("one two") == 2
    counter.counted.clear()
    assert await fit.count_text("") == 0
    assert counter.counted == []


TOOLS = (Tool("find", "finds", "{}"), Tool("tell", "tells", "{}"))
TOOLS_TEMPLATE = 11 + 2 * 5


async def test_tools_count_beside_the_messages() -> None:
    asked = replace(said("four"), tools=TOOLS)
    prompt = await fitted(asked)
    texts = sum(len(tool.text) for tool in TOOLS)

    assert prompt.input_tokens == 4 + EACH + ALL + TOOLS_TEMPLATE + texts
    assert await fitter()[0].count(asked) == 1 + EACH + ALL + TOOLS_TEMPLATE + 3 * 2


async def test_a_schema_of_the_answer_counts_beside_the_messages() -> None:
    asked = replace(said("four"), beside="{a b c}")
    assert (await fitted(asked)).input_tokens == 4 + 7 + EACH + ALL
    assert await fitter()[0].count(asked) == 1 + 3 + EACH + ALL


async def test_tools_that_leave_no_room_are_too_large() -> None:
    many = tuple(Tool(f"t{number}", "word " * 30) for number in range(40))
    assert isinstance(
        await fitter()[0].fit(replace(said("hi"), tools=many), PROFILE), PromptTooLarge
    )


async def test_a_picture_is_what_it_is_billed_as_at_the_most() -> None:
    near, far = ImagePart("https://a/b.png"), ImagePart("https://a/c.png", "low")
    message = Message.of_parts(Role.USER, [TextPart("look"), near, far])
    prompt = await fitted(Asked((message,)))

    assert prompt.input_tokens == 4 + EACH + ALL + 30 + 7


async def test_what_was_learnt_raises_a_hold_and_corrects_an_estimate() -> None:
    fit, _ = fitter()
    long = said("w " * 40)
    await fit.learn(long, "w " * 40, TokenUsage(2 * (40 + EACH + ALL), 20))

    counted = await fit.fit_counted(long, PROFILE)
    assert isinstance(counted, Prompt)
    assert counted.input_tokens == 2 * (40 + EACH + ALL)
    assert await fit.count(long) == 2 * (40 + EACH + ALL)
    assert await fit.count_text("w " * 40) == 20

    await fit.learn(replace(long, tools=TOOLS), "", TokenUsage(9_999, 0))
    await fit.learn(said(), "w " * 40, TokenUsage(0, 400, reasoning_tokens=360))
    assert await fit.count(long) == 2 * (40 + EACH + ALL)
    assert await fit.count_text("w " * 40) == 20


def test_the_first_calls_teach_and_then_a_few() -> None:
    fit, _ = fitter()
    taught = [fit.wants_to_learn() for _ in range(100)]
    assert all(taught[:16])
    assert sum(taught) == 16 + 3
