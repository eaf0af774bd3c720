"""How each family of models cuts text into tokens: numbers, with where they come from.

OpenAI's vocabularies are exact. Every other family is estimated from one of them; an estimate is
meant to err upwards, because what is observed of a cancelled call is charged by it.
"""

import re
from dataclasses import dataclass
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
_OPENAI = TokenOverhead(per_message=5, per_request=8)
OPENAI_O200K = Tokenization(Vocabulary.O200K, _OPENAI)
OPENAI_CL100K = Tokenization(Vocabulary.CL100K, _OPENAI)

# The harmony format's own system message is 57 tokens of o200k, and its developer message and the
# opening of the answer about ten more (OpenAI cookbook, articles/openai-harmony.md).
GPT_OSS = Tokenization(Vocabulary.O200K, TokenOverhead(per_message=6, per_request=80))

# Multiples of o200k, measured by this project in November 2026: Claude up to 4.6: 1.05 for
# English, 1.26 for code, 1.45 for Chinese; newer ones 1.46, 1.56, and up to 2.26 for Thai. Bytes
# times 1.1 held for all. Anthropic's page on token counting shows 14 tokens for a system prompt
# and a message of four words or fewer each; the overhead allows twice that.
_CLAUDE = TokenOverhead(per_message=8, per_request=16)
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
    _CLAUDE,
    ascii_percent=156,
    other_percent=226,
    bound_percent=110,
    overestimate_percent=75,
)

# Llama 3 took cl100k and added to it: on those of llama.cpp's tokenizer test strings that our tests
# repeat it has at most as many tokens. Its template puts five around a message, and adds a message
# of 20 with the date, its header, a first token and the answer's header.
LLAMA_3 = Tokenization(
    Vocabulary.CL100K, TokenOverhead(per_message=8, per_request=40), overestimate_percent=25
)

# Qwen 1.5 to 3 took cl100k too, but one token for each digit; same strings, same result. The
# template has five around a message; the default system prompt is 16, a closed thought 6.
QWEN = Tokenization(
    Vocabulary.CL100K,
    TokenOverhead(per_message=8, per_request=40),
    splits_digits=True,
    overestimate_percent=25,
)

# SmolLM2-135M-Instruct, measured against its own tokenizer and template (llama.cpp's server,
# November 2026), as multiples of cl100k: English 0.98, code 1.16 to 1.27, Latin languages 1.26 to
# 1.34, other scripts 0.96 to 1.74, Korean 2.19 with a quarter of its bytes ASCII. Only runs of
# spaces are estimated low. A message has five tokens around it and "assistant" is two; the
# answer's header is four; the default system prompt, when there is none, is 21.
SMOLLM2 = Tokenization(
    Vocabulary.CL100K,
    TokenOverhead(per_message=6, per_request=25),
    ascii_percent=135,
    other_percent=260,
    splits_digits=True,
    overestimate_percent=170,
)

# A model that nobody measured counts at least as much as any that was.
UNKNOWN = Tokenization(
    Vocabulary.CL100K,
    TokenOverhead(per_message=16, per_request=128),
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
