"""Tokens and money: what a call used, what it costs, and the most that it can cost.

Money is an integer number of nano-dollars (10^-9 USD). Prices are nano-dollars per *million*
tokens, because not every published price is a whole number of them for one token; a cost is
rounded up once, at the end, so that rounding never favours the spender.
"""

from chatnest.domain.values import value

TOKENS_PER_PRICE = 1_000_000
NANO_USD_PER_USD = 1_000_000_000


@value
class TokenUsage:
    """Tokens of one call, in inclusive buckets.

    ``input_tokens`` includes ``cached_input_tokens`` (read from the provider's cache) and
    ``cache_write_tokens`` (written to it); ``output_tokens`` includes ``reasoning_tokens``.

    Raises:
        ValueError: a count is negative, or a part is larger than its whole.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        if min(self.cached_input_tokens, self.cache_write_tokens, self.reasoning_tokens) < 0:
            raise ValueError("token counts must not be negative")
        if self.cached_input_tokens + self.cache_write_tokens > self.input_tokens:
            raise ValueError("cached tokens are part of input_tokens and cannot exceed them")
        if self.reasoning_tokens > self.output_tokens:
            raise ValueError("reasoning_tokens are part of output_tokens and cannot exceed them")

    @property
    def total_tokens(self) -> int:
        """Input and output together; the parts are inside them already."""
        return self.input_tokens + self.output_tokens


NO_USAGE = TokenUsage(input_tokens=0, output_tokens=0)


@value
class Price:
    """What a model charges, in nano-dollars per million tokens.

    A cache price of None means that the provider has no such price: those tokens cost what any
    input token costs.
    """

    input_nano_usd: int
    output_nano_usd: int
    cached_input_nano_usd: int | None = None
    cache_write_nano_usd: int | None = None

    def __post_init__(self) -> None:
        optional = (self.cached_input_nano_usd, self.cache_write_nano_usd)
        given = [price for price in optional if price is not None]
        if min(self.input_nano_usd, self.output_nano_usd, *given) < 0:
            raise ValueError("prices must not be negative")

    @property
    def worst_input_nano_usd(self) -> int:
        """The dearest way in which one input token can be billed."""
        return max(
            self.input_nano_usd, self.cached_input_nano_usd or 0, self.cache_write_nano_usd or 0
        )


FREE = Price(input_nano_usd=0, output_nano_usd=0)


def cost_nano_usd(price: Price, usage: TokenUsage) -> int:
    """The cost of *usage* in nano-dollars, rounded up."""
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    plain = usage.input_tokens - cached - written
    total = (
        plain * price.input_nano_usd
        + cached * _or_input(price.cached_input_nano_usd, price)
        + written * _or_input(price.cache_write_nano_usd, price)
        + usage.output_tokens * price.output_nano_usd
    )
    return -(-total // TOKENS_PER_PRICE)


def worst_cost_nano_usd(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that a call of these sizes can cost, in nano-dollars, rounded up."""
    total = input_tokens * price.worst_input_nano_usd + output_tokens * price.output_nano_usd
    return -(-total // TOKENS_PER_PRICE)


def most_output_tokens(price: Price, input_tokens: int, room_nano_usd: int) -> int | None:
    """The largest output whose worst cost fits into *room_nano_usd*.

    None where output is free and any amount fits; negative where not even the input fits.
    """
    room = room_nano_usd * TOKENS_PER_PRICE - input_tokens * price.worst_input_nano_usd
    if room < 0:
        return -1
    if price.output_nano_usd == 0:
        return None
    return room // price.output_nano_usd


def _or_input(special: int | None, price: Price) -> int:
    return price.input_nano_usd if special is None else special
