"""What the mock upstream is to answer, written into the question itself.

A question reaches the upstream through whatever stands between, so that no server under
measurement has to be told anything: ``mock-TOKENS-DELAY_MS-FIRST_MS-TOGETHER-TAG``, of which the
last three may be left out.
"""

import re

import msgspec

TOKEN = b" apple"
"""How a token of an answer begins; no frame of a dialect has it in it."""

TOKENS = (" apple", " apples")
"""What answers consist of, in turns: LiteLLM takes a hundred equal tokens for a broken model."""

_ASKED = re.compile(rb"mock-(\d+)-(\d+)(?:-(\d+))?(?:-(\d+))?(?:-(\d+))?")
_LONGEST = 80


class Script(msgspec.Struct, frozen=True):
    """An answer of *tokens*: the first after *first_ms*, the others *delay_ms* apart.

    So many tokens go *together* in one write; 0: all of them at once where there is no delay,
    else one by one.
    """

    tokens: int
    delay_ms: int = 0
    first_ms: int = 0
    together: int = 0

    def asked_for(self, tag: int) -> str:
        """The words that ask for it; the upstream files what becomes of it under *tag*."""
        return f"mock-{self.tokens}-{self.delay_ms}-{self.first_ms}-{self.together}-{tag}"

    @property
    def at_once(self) -> bool:
        """Whether the whole answer is one write."""
        return not (self.delay_ms or self.first_ms or self.together)


def script_in(body: bytes) -> tuple[Script, int] | None:
    """The script that *body*, a request of any dialect, asks for last, and its tag."""
    at = body.rfind(b"mock-")
    found = _ASKED.match(body[at : at + _LONGEST]) if at >= 0 else None
    if found is None:
        return None
    tokens, delay_ms, first_ms, together, tag = (int(group or 0) for group in found.groups())
    return Script(tokens, delay_ms, first_ms, together), tag
