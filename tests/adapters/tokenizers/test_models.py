"""Each name finds its family, and an unmeasured one is never counted lower than a measured one."""

from dataclasses import fields

import pytest

from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.adapters.tokenizers.models import (
    CLAUDE,
    CLAUDE_NEWER,
    GPT_OSS,
    LLAMA_3,
    OPENAI_4O_MINI,
    OPENAI_CL100K,
    OPENAI_NEWER,
    OPENAI_O200K,
    OPENAI_SMALL,
    QWEN,
    SMOLLM2,
    UNKNOWN,
    Tokenization,
    byte_length,
    tokenization_of,
)

NAMES = {
    OPENAI_O200K: (
        "gpt-4o",
        "gpt-4o-2024-11-20",
        "chatgpt-4o-latest",
        "gpt-4.1",
        "gpt-4.1-2025-04-14",
        "gpt-5",
        "gpt-5-chat-latest",
        "gpt-5.1-codex",
        "o1",
        "o3-mini",
        "openai/gpt-4o",
        "ft:gpt-4o:acme:mini:id",
        "GPT-4O",
    ),
    OPENAI_4O_MINI: ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini:acme::id"),
    OPENAI_SMALL: (
        "gpt-4.1-mini",
        "gpt-4.1-nano-2025-04-14",
        "gpt-5-mini",
        "gpt-5-nano-2025-08-07",
        "gpt-5-codex-mini",
        "o4-mini-2025-04-16",
        "ft:gpt-4.1-mini:acme::id",
    ),
    OPENAI_NEWER: (
        "gpt-5.1-codex-mini",
        "gpt-5.2",
        "gpt-5.4-mini",
        "gpt-5.6-sol",
        "gpt-5.10",
        "gpt-6-astra",
        "gpt-6.1-sol",
        "openai/gpt-6-sol",
    ),
    OPENAI_CL100K: ("gpt-4", "gpt-4-turbo", "gpt-4-0613", "gpt-3.5-turbo", "gpt-35-turbo-16k"),
    GPT_OSS: ("gpt-oss-20b", "openai/gpt-oss-120b"),
    CLAUDE: (
        "claude-2.1",
        "claude-instant-1.2",
        "claude-3-5-haiku-latest",
        "claude-3-opus-20240229",
        "claude-opus-4-20250514",
        "claude-sonnet-4-0",
        "claude-haiku-4-5",
        "claude-sonnet-4-5-20250929",
        "claude-opus-4-6",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "claude-opus-4-1@20250805",
    ),
    CLAUDE_NEWER: (
        "claude-opus-4-7",
        "claude-opus-4-8-20260601",
        "claude-sonnet-5",
        "claude-haiku-5-5",
        "claude-fable-5-2",
        "anthropic/claude-opus-5",
    ),
    LLAMA_3: ("llama3.1:8b", "meta-llama/Llama-3.3-70B-Instruct", "llama-3.2-1b"),
    QWEN: ("qwen2.5-7b-instruct", "Qwen/Qwen3-8B", "qwen3:4b", "qwen1.5-110b-chat"),
    SMOLLM2: ("smollm2", "SmolLM2-135M-Instruct", "smollm2:135m"),
    UNKNOWN: (
        "",
        "mistral-large",
        "llama-2-7b",
        "llama-4-scout",
        "qwen3.5-8b",
        "smollm3",
        "gpt-7",
        "gpt-60",
        "gpt-4.9",
        "o2",
        "not-gpt-4o",
    ),
}
CASES = [(name, family) for family, names in NAMES.items() for name in names]

# Tokens that the real model counted: llama.cpp's server with SmolLM2-135M-Instruct, /tokenize.
SMOLLM2_TOKENS = {
    "What is the capital of France?": 7,
    "Paris is the capital. It lies on the Seine and has about two million inhabitants.": 18,
    "Be brief.": 3,
    "Hello": 1,
    "Hi, how can I help?": 7,
    "def area(radius: float) -> float:\n    return 3.14159 * radius**2\n": 25,
    '{"name": "Ada", "born": 1815, "works": ["notes", "letters"]}': 26,
    "Quelle est la capitale de la France ? C'est Paris, bien sûr.": 22,
    "Die Hauptstadt von Frankreich heißt Paris.": 15,
    "Назови столицу Франции, пожалуйста.": 30,
    "法国的首都是巴黎。": 16,
    "프랑스의 수도는 어디입니까?": 35,
    "フランスの首都はどこですか。": 25,
    "ما هي عاصمة فرنسا؟": 19,
    "फ़्रांस की राजधानी क्या है?": 30,
    "ฝรั่งเศสมีเมืองหลวงชื่ออะไร": 52,
    "Call 030 901820 or 0171 2345678 before 17:45.": 34,
    "👍🏽 great 🎉🎉": 13,
}

# The same server's prompt_tokens of whole chats, by the texts of their messages; a chat without a
# system message is given a default one.
SMOLLM2_CHATS = {
    ("What is the capital of France?",): 37,
    ("Be brief.", "What is the capital of France?"): 24,
    ("Be brief.", "Hello", "Hi, how can I help?", "What is the capital of France?"): 43,
}

# Tokens of llama.cpp's own test strings: models/ggml-vocab-{llama-bpe,qwen2}.gguf.out.
LLAMA_AND_QWEN_TOKENS = {
    "ied 4 ½ months": (6, 6),
    "Führer": (3, 3),
    " this is 🦙.cpp": (7, 7),
    "w048 7tuijk dsdfhu": (10, 12),
    "нещо на Български": (8, 9),
    "កាន់តែពិសេសអាចខលចេញ": (34, 24),
    "33333333": (3, 8),
}


@pytest.mark.parametrize(("name", "family"), CASES)
def test_a_name_finds_its_family(name: str, family: Tokenization) -> None:
    assert tokenization_of(name) == family


async def test_a_model_that_nobody_measured_counts_at_least_as_much_as_any_that_was() -> None:
    counter = BpeTokenCounter()
    for text in (*SMOLLM2_TOKENS, *LLAMA_AND_QWEN_TOKENS, " word" * 100):
        unknown = await counter.count("a-model-nobody-knows", text)
        for family, names in NAMES.items():
            assert unknown >= await counter.count(names[0], text), (family, text)
            assert counter.bound("a-model-nobody-knows", text) >= counter.bound(names[0], text)


def test_the_overhead_of_an_unmeasured_model_is_the_largest() -> None:
    """But for the pictures of gpt-4o-mini, whose tokens are dearer by name alone."""
    for part in (field.name for field in fields(UNKNOWN.overhead)):
        families = NAMES.keys() - ({OPENAI_4O_MINI} if part == "per_image" else set())
        assert all(
            getattr(UNKNOWN.overhead, part) >= getattr(family.overhead, part) for family in families
        )


def test_a_picture_of_low_detail_is_never_more_than_one_of_high() -> None:
    assert all(family.overhead.per_low_image <= family.overhead.per_image for family in NAMES)


@pytest.mark.parametrize(("text", "tokens"), SMOLLM2_TOKENS.items())
async def test_the_estimate_for_smollm2_covers_the_real_count(text: str, tokens: int) -> None:
    count = await BpeTokenCounter().count("smollm2", text)
    assert tokens <= count <= 3 * tokens
    assert tokens <= byte_length(text)


@pytest.mark.parametrize(("texts", "prompt_tokens"), SMOLLM2_CHATS.items())
def test_smollm2s_template_fits_its_overhead(texts: tuple[str, ...], prompt_tokens: int) -> None:
    overhead = BpeTokenCounter().overhead("smollm2")
    most = sum(map(SMOLLM2_TOKENS.__getitem__, texts)) + len(texts) * overhead.per_message
    assert most + overhead.per_request >= prompt_tokens


@pytest.mark.parametrize(("text", "tokens"), LLAMA_AND_QWEN_TOKENS.items())
async def test_the_estimates_for_llama_and_qwen_cover_the_published_counts(
    text: str, tokens: tuple[int, int]
) -> None:
    counter = BpeTokenCounter()
    llama, qwen = tokens
    assert await counter.count("llama3.1:8b", text) >= llama
    assert await counter.count("qwen2.5-7b", text) >= qwen


@pytest.mark.parametrize(
    ("text", "size"), [("", 0), ("abc", 3), ("é", 2), ("我", 3), ("😀", 4), ("a\ud800", 4)]
)
def test_a_text_is_as_long_as_its_utf_8_and_a_lone_surrogate_is_three(text: str, size: int) -> None:
    assert byte_length(text) == size


@pytest.mark.parametrize(
    ("text", "hundredths"),
    [
        ("abcdef", 10 * 126),
        ("我我", 10 * 145),
        ("abc我", 10 * (126 + 145) // 2),
        ("", 0),
    ],
)
def test_a_mixture_is_weighed_by_its_bytes(text: str, hundredths: int) -> None:
    assert CLAUDE.hundredths(text, 10 if text else 0) == hundredths
