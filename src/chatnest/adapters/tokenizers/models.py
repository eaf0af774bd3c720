"""How each family of models cuts text into tokens: numbers, with where they come from.

OpenAI's vocabularies are exact. Every other family is estimated from one of them; an estimate is
meant to err upwards, because what is observed of a cancelled call is charged by it.

What a picture is billed as depends on its size, which nobody looks up: it is taken as the largest.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from chatnest.adapters.tokenizers.vocabularies import Vocabulary
from chatnest.domain.ports import TokenOverhead


@dataclass(frozen=True, slots=True)
class Tokenization:
    """A family's tokens, in terms of a vocabulary that ships with ChatNest.

    ASCII text counts ``ascii_percent`` of the vocabulary's tokens, any other ``other_percent``,
    and a mixture by its bytes of each. ``bound_percent`` of the text's UTF-8 bytes is the most it
    can be. ``splits_digits``: the family has one token for each digit, where the vocabulary has
    one for up to three. ``overestimate_percent`` is how far above the truth the estimate may lie:
    the least multiple that was measured against the one that is used.
    """

    vocabulary: Vocabulary
    overhead: TokenOverhead
    ascii_percent: int = 100
    other_percent: int = 100
    bound_percent: int = 100
    splits_digits: bool = False
    overestimate_percent: int = 0

    def hundredths(self, text: str, tokens: int) -> int:
        """The family's tokens in *text*, which is *tokens* of the vocabulary, times 100."""
        if self.ascii_percent == self.other_percent:
            return tokens * self.ascii_percent
        narrow = len(text.encode("ascii", "ignore"))
        wide = byte_length(text) - narrow
        weight = self.ascii_percent * narrow + self.other_percent * wide
        return -(-tokens * weight // max(1, narrow + wide))


def byte_length(text: str) -> int:
    """The bytes of *text* in UTF-8; a lone surrogate, which has none, is three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


# Chat overhead: 3 tokens and the role for each message, one more for a name, and 3 that open the
# answer (OpenAI cookbook, How_to_count_tokens_with_tiktoken; it warns that they may change, so
# five are added). gpt-4o and later: o200k (tiktoken 0.14, tiktoken/model.py); gpt-6: the same
# (release notes of ttok 1.0, October 2026).
#
# Tools: 12 tokens in all, and a tool in the same recipe is less than its JSON text, but for a value
# of an enum, which is five tokens and in JSON three: 40 are an enum of twenty.
#
# Pictures (OpenAI, guides/images-vision, "Calculating costs"). In tiles of 512 px, of which a
# picture has at most eight: 85 + 170 each for gpt-4o, 4.1 and 4.5, less for gpt-5, 5.1, o1 and o3;
# at low detail the 85 alone. gpt-4o-mini is billed 2,833 + 5,667. In patches of 32 px: at most
# 1,536, times 1.62 (mini), 1.72 (o4-mini) or 2.46 (nano), and older ones know no low detail; 2,500
# times 1.2 from gpt-5.4 on, whose picture of low detail is 256 patches.
_TILED = TokenOverhead(
    per_message=5,
    per_request=8,
    per_image=85 + 8 * 170,
    per_low_image=85,
    per_tool=40,
    with_tools=16,
)
_MINI_TILED = replace(_TILED, per_image=2_833 + 8 * 5_667, per_low_image=2_833)
_SMALL_PATCHED = replace(_TILED, per_image=3_779, per_low_image=3_779)
_PATCHED = replace(_TILED, per_image=3_779, per_low_image=630)
OPENAI_O200K = Tokenization(Vocabulary.O200K, _TILED)
OPENAI_4O_MINI = Tokenization(Vocabulary.O200K, _MINI_TILED)
OPENAI_SMALL = Tokenization(Vocabulary.O200K, _SMALL_PATCHED)
OPENAI_NEWER = Tokenization(Vocabulary.O200K, _PATCHED)
OPENAI_CL100K = Tokenization(Vocabulary.CL100K, _TILED)

# The harmony format's own system message is 57 tokens of o200k, and its developer message and the
# opening of the answer about ten more; what stands around the tools is 43, and a tool in its
# TypeScript what it is for OpenAI's others (OpenAI cookbook, articles/openai-harmony.md).
GPT_OSS = Tokenization(
    Vocabulary.O200K, TokenOverhead(per_message=6, per_request=80, per_tool=40, with_tools=64)
)

# Multiples of o200k, measured by this project in November 2026: Claude up to 4.6: 1.05 for
# English, 1.26 for code, 1.45 for Chinese; newer ones 1.46, 1.56, and up to 2.26 for Thai. Bytes
# times 1.1 held for all. Anthropic's page on token counting shows 14 tokens for a system prompt
# and a message of four words or fewer each; the overhead allows twice that.
#
# Tools bring a system prompt: the largest is 589 tokens up to 4.6 and 804 after (Anthropic's table
# on its page about tool use, July 2026: 4.6 and 4.7 where a tool must be used). Its other example
# of counting, 403 tokens with one tool, leaves less than 32 beside that tool's text. A picture is
# one token for each 28 px square, at most 1,568, and 4,784 from 4.7 on (its page on vision).
_CLAUDE = TokenOverhead(
    per_message=8,
    per_request=16,
    per_image=1_600,
    per_low_image=1_600,
    per_tool=32,
    with_tools=589,
)
CLAUDE = Tokenization(
    Vocabulary.O200K,
    _CLAUDE,
    ascii_percent=126,
    other_percent=145,
    bound_percent=110,
    overestimate_percent=40,
)
CLAUDE_NEWER = Tokenization(
    Vocabulary.O200K,
    replace(_CLAUDE, per_image=4_784, per_low_image=4_784, with_tools=804),
    ascii_percent=156,
    other_percent=226,
    bound_percent=110,
    overestimate_percent=75,
)

# Llama 3 took cl100k and added to it: on those of llama.cpp's tokenizer test strings that our tests
# repeat it has at most as many tokens. Its template puts five around a message, and adds a message
# of 20 with the date, its header, a first token and the answer's header. It introduces tools with
# 56, and indents their JSON by four: a tool of ten nested parameters has 167 more than its text. A
# picture is up to four tiles of 1,601 (Llama 3.2's config.json: 560 px in patches of 14).
LLAMA_3 = Tokenization(
    Vocabulary.CL100K,
    TokenOverhead(
        per_message=8,
        per_request=40,
        per_image=4 * 1_601,
        per_low_image=4 * 1_601,
        per_tool=192,
        with_tools=64,
    ),
    overestimate_percent=25,
)

# Qwen 1.5 to 3 took cl100k too, but one token for each digit; same strings, same result. The
# template has five around a message; the default system prompt is 16, a closed thought 6. It
# introduces tools with 87, and writes a tool of ten nested parameters with 73 more than its text. A
# picture is up to 12,845,056 pixels at one token for each 28 px square (Qwen2.5-VL's
# preprocessor_config.json).
QWEN = Tokenization(
    Vocabulary.CL100K,
    TokenOverhead(
        per_message=8,
        per_request=40,
        per_image=16_384,
        per_low_image=16_384,
        per_tool=96,
        with_tools=96,
    ),
    splits_digits=True,
    overestimate_percent=25,
)

# SmolLM2-135M-Instruct, measured against its own tokenizer and template (llama.cpp's server,
# November 2026), as multiples of cl100k: English 0.98, code 1.16 to 1.27, Latin languages 1.26 to
# 1.34, other scripts 0.96 to 1.74, Korean 2.19 with a quarter of its bytes ASCII. Only runs of
# spaces are estimated low. A message has five tokens around it and "assistant" is two; the
# answer's header is four; the default system prompt, when there is none, is 21. Its template leaves
# tools out.
SMOLLM2 = Tokenization(
    Vocabulary.CL100K,
    TokenOverhead(per_message=6, per_request=25, per_tool=0),
    ascii_percent=135,
    other_percent=260,
    splits_digits=True,
    overestimate_percent=170,
)

# A model that nobody measured counts at least as much as any that was. But for gpt-4o-mini's
# pictures: their 33 times as many tokens only make up for its price, so that they cost what
# gpt-4o's do.
UNKNOWN = Tokenization(
    Vocabulary.CL100K,
    TokenOverhead(
        per_message=16,
        per_request=128,
        per_image=16_384,
        per_low_image=16_384,
        per_tool=192,
        with_tools=804,
    ),
    ascii_percent=170,
    other_percent=270,
    bound_percent=110,
    splits_digits=True,
    overestimate_percent=200,
)

# The first pattern that matches the whole of a name decides.
_FAMILIES = tuple(
    (re.compile(pattern), tokenization)
    for pattern, tokenization in (
        (r"gpt-oss.*", GPT_OSS),
        (r"gpt-4o-mini.*", OPENAI_4O_MINI),
        (r"(gpt-4\.1|gpt-5)(-.*)?-(mini|nano)(?![a-z]).*|o4-mini.*", OPENAI_SMALL),
        (r"gpt-(5\.([2-9]|\d\d)|5\.1-codex-mini|6)(?!\d).*", OPENAI_NEWER),
        (r"(chatgpt-4o|gpt-4o|gpt-4\.[15]|gpt-[56]|o[134])(?!\d).*", OPENAI_O200K),
        (r"(gpt-4|gpt-3\.?5)(?![\d.]).*", OPENAI_CL100K),
        (r"(.*\.)?claude-(v\d|instant|[23](?!\d)).*", CLAUDE),
        (r"(.*\.)?claude-(opus|sonnet|haiku)-4([-.][0-6])?([-@:](\d{8}|v\d|latest).*)?", CLAUDE),
        (r"(.*\.)?claude.*", CLAUDE_NEWER),
        (r".*llama-?3(?!\d).*", LLAMA_3),
        (r".*qwen-?(1\.5|2\.5|2|3)(?![\d.]).*", QWEN),
        (r".*smollm-?2(?!\d).*", SMOLLM2),
    )
)


@lru_cache(maxsize=256)
def tokenization_of(model: str) -> Tokenization:
    """How *model* cuts text; :data:`UNKNOWN` where its family is not in the table.

    A path before the name (``openai/gpt-4o``), the mark of a fine-tuned model (``ft:``), and
    upper case do not matter.
    """
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    for pattern, tokenization in _FAMILIES:
        if pattern.fullmatch(name):
            return tokenization
    return UNKNOWN
