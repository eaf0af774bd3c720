"""What providers ask for their text models, as of a day: the frozen data in ``published.json``.

The figures and the names that each is for are those of genai-prices (MIT licence, Copyright (c)
Pydantic Services Inc., https://github.com/pydantic/genai-prices); the file says which version.
``make prices`` writes it anew, and nothing of that package is needed to read it.

A price holds for the standard service tier and for requests of at most ``BASE_TIER_INPUT_TOKENS``
of input. Where it depends on the size of a request within that, on the time of day, or on a day
that is known to come, it is the dearest. These are not in it:

- Larger requests, which some models charge more for; the hard caps of a profile are far below.
- Service tiers that are faster or slower, and batches.
- Writing to Anthropic's cache for an hour, at twice the input; the figure is for five minutes.
- What a provider's own tools cost beside tokens, such as a search of the web.
- Audio in a request: ChatNest sends none.

A model whose bill has any other part (each request, images or speech in the answer) is listed
without a price: tokens alone would not bound what it costs.
"""

from collections.abc import Callable, Collection, Sequence
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

from chatnest.adapters.prices.name_rules import FirstRule, NameRule, spellings
from chatnest.domain.usage import Price

BASE_TIER_INPUT_TOKENS = 100_000
"""The largest input, in tokens, that every published price holds for."""

# Names come from clients: what is remembered of them has an end.
_REMEMBERED_NAMES = 1_024


class Figures(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A price as it is in the file: nano-dollars per million tokens."""

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None

    def price(self) -> Price:
        """The same as a price."""
        return Price(self.input, self.output, self.cached_input, self.cache_write)


class PublishedModel(NameRule, frozen=True, kw_only=True):
    """A model, the names that it goes by, and its price; or ``why`` it has none here."""

    id: str
    price: Figures | None = None
    why: str = ""


class PublishedProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a provider serves. A model is the first whose rule holds for a name.

    ``others`` are the providers whose models are served too, at the price that they have there.
    """

    models: tuple[PublishedModel, ...]
    others: tuple[str, ...] = ()


class PublishedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Each provider is decoded when it is first asked about."""

    source: str
    version: str
    licence: str
    as_of: str
    providers: dict[str, msgspec.Raw]


class _Listed(NamedTuple):
    models: FirstRule[PublishedModel]
    others: tuple[str, ...]


class Found(NamedTuple):
    """A published model, and the provider that it is listed under."""

    provider: str
    model: PublishedModel


class PublishedPrices:
    """Finds the published model that a name means; *read* is called once, at the first question."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._provider = cache(self._decoded)
        self.find = lru_cache(_REMEMBERED_NAMES)(self._found)

    @property
    def version(self) -> str:
        """The source and its version, as in ``genai-prices 0.2.3``."""
        return f"{self._file.source} {self._file.version}"

    @property
    def as_of(self) -> str:
        """The day that the prices are of."""
        return self._file.as_of

    @property
    def providers(self) -> Collection[str]:
        """The names of the providers that have published prices."""
        return self._file.providers.keys()

    def models(self, provider: str) -> Sequence[PublishedModel]:
        """All models that are listed under *provider* itself."""
        return self._provider(provider).models.rules

    def _found(self, provider: str, name: str) -> Found | None:
        """The published model that *name* means at *provider*; None where it means none."""
        if provider not in self.providers:
            return None
        lists = (provider, *self._provider(provider).others)
        for spelling in spellings(name):
            for listed in lists:
                model = self._provider(listed).models.find(spelling)
                if model is not None:
                    return Found(listed, model)
        return None

    def _decoded(self, provider: str) -> _Listed:
        stored = msgspec.json.decode(self._file.providers[provider], type=PublishedProvider)
        return _Listed(FirstRule(stored.models), stored.others)

    @cached_property
    def _file(self) -> PublishedFile:
        return msgspec.json.decode(self._read(), type=PublishedFile)


def _packaged() -> bytes:
    return files("chatnest.adapters.prices").joinpath("published.json").read_bytes()


PUBLISHED_PRICES = PublishedPrices(_packaged)
"""The prices that ChatNest is shipped with."""
