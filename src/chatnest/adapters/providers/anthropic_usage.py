"""The usage that a stream of Anthropic's wire reports, a figure here and a figure there."""

from typing import Annotated

import msgspec

from chatnest.adapters.providers.reported_usage import MOST_TOKENS
from chatnest.domain.usage import TokenUsage

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    output_tokens_details: _OutputDetails | None = None


_USAGES = msgspec.json.Decoder(_Usage | None)


class ReportedUsage:
    """What the events of one stream have said of its usage so far.

    The figures are cumulative: a later one replaces an earlier one, and null leaves it as it was.
    """

    def __init__(self) -> None:
        self._said = _Usage()
        self._makes_sense = True

    def begin(self, raw: msgspec.Raw) -> None:
        """Take the usage of an answer that begins; of its output that says nothing yet."""
        self.update(raw)
        self._said.output_tokens = self._said.output_tokens_details = None

    def update(self, raw: msgspec.Raw) -> None:
        """Take a usage object, where there is one."""
        if not raw:
            return
        try:
            usage = _USAGES.decode(raw)
        except msgspec.DecodeError:
            self._makes_sense = False
            return
        if usage is None:
            return
        for name in _Usage.__struct_fields__:
            figure = getattr(usage, name)
            if figure is not None:
                setattr(self._said, name, figure)

    def token_usage(self) -> TokenUsage | None:
        """The whole usage in inclusive buckets: on the wire cached input stands beside the rest.

        None where a figure made no sense, or either side is not known: less than what was used
        must not be charged.
        """
        said = self._said
        if not self._makes_sense or said.input_tokens is None or said.output_tokens is None:
            return None
        cached, written = said.cache_read_input_tokens or 0, said.cache_creation_input_tokens or 0
        input_tokens = said.input_tokens + cached + written
        if input_tokens > MOST_TOKENS:
            return None
        details = said.output_tokens_details or _OutputDetails()
        return TokenUsage(
            input_tokens,
            said.output_tokens,
            cached_input_tokens=cached,
            cache_write_tokens=written,
            reasoning_tokens=min(max(0, details.thinking_tokens or 0), said.output_tokens),
        )
