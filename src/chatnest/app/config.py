"""Everything that an operator may set, as one frozen tree with working defaults.

The tree is a plain value: :mod:`chatnest.app.settings_sources` fills it from a file, the
environment and flags, and :mod:`chatnest.app.config_checks` says whether its parts fit together.
Providers' API keys are not in it: they stay under the names that the providers' own libraries
read, such as ``OPENAI_API_KEY``.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

# Descriptions complete the sentence "it must be …" in error messages. The bounds keep every number
# far inside 64 bits, also after its conversion to microseconds.
Count = Annotated[int, Meta(ge=1, le=1_000_000_000_000, description="a whole number of at least 1")]
Port = Annotated[int, Meta(ge=0, le=65_535, description="a port number from 0 to 65535")]
Seconds = Annotated[
    float, Meta(ge=0.001, le=86_400, description="a number of seconds from 0.001 to 86400")
]
LeaseSeconds = Annotated[
    float, Meta(ge=1, le=86_400, description="a number of seconds from 1 to 86400")
]
HistoryDays = Annotated[
    int, Meta(ge=1, le=36_500, description="a whole number of days from 1 to 36500")
]
Temperature = Annotated[float, Meta(ge=0, le=10, description="a number from 0 to 10")]
Text = Annotated[
    str, Meta(min_length=1, max_length=200, description="a text of 1 to 200 characters")
]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._@-]{1,64}\Z",
        description="a name of 1 to 64 letters, digits and the signs . _ @ -",
    ),
]
Sha256 = Annotated[
    str, Meta(pattern=r"^[0-9a-fA-F]{64}\Z", description="64 hexadecimal digits (a SHA-256)")
]
UrlPath = Annotated[
    str,
    Meta(
        pattern=r"^(/|(/[A-Za-z0-9._~-]+)+)\Z",
        description="a path that begins with / and does not end with one, such as /api",
    ),
]

LogLevel = Literal["debug", "info", "warning", "error"]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the tree. A name that it does not know is refused, never dropped."""


class ProfileConfig(Section, frozen=True, kw_only=True):
    """Numbers of one usage profile.

    What is left out keeps the number of the built-in profile of that name; a new profile starts
    from ``balanced``. Hard caps stand above all of them.
    """

    max_output_tokens: Count | None = None
    """The longest answer, in tokens."""

    max_messages: Count | None = None
    """How many messages of a conversation are sent at the most."""

    temperature: Temperature | None = None
    """The highest temperature."""

    tokens_per_day: Count | None = None
    """Input and output tokens of one caller in a day."""

    tokens_per_request: Count | None = None
    """Input and output tokens of one request."""

    requests_per_minute: Count | None = None
    """Requests of one caller in a minute."""

    min_output_tokens: Count | None = None
    """The least answer worth sending: with less room in a budget the request is refused."""

    concurrent_streams: Count | None = None
    """Answers that one caller may be receiving at the same time."""

    system_prompt: str | None = None
    """What the model is told before every conversation under this profile."""


class BudgetConfig(Section, frozen=True, kw_only=True):
    """At most *limit* of *unit* for *scope* in every *period*."""

    scope: Text
    """``global`` for everybody together, ``principal`` for each caller on its own; any other scope
    is for the callers that carry it, or whose id it is (``team:red``, ``key:alice``)."""

    unit: Literal["tokens", "usd", "requests"]
    """What is counted."""

    period: Literal["minute", "hour", "day", "month", "total"]
    """How long a window is; ``total`` never ends."""

    limit: Decimal
    """The most; a whole number of tokens or requests, or dollars down to a nano-dollar."""

    zone: str | None = None
    """The time zone in which days and months begin; left out: ``time_zone`` of the whole tree."""


class TimeLimitsConfig(Section, frozen=True, kw_only=True):
    """How long anything may take, in seconds."""

    first_token_s: Seconds = 30.0
    """From calling a provider to its first token."""

    idle_s: Seconds = 30.0
    """Between two tokens."""

    total_s: Seconds = 600.0
    """For one answer from its beginning to its end."""

    write_stall_s: Seconds = 30.0
    """How long a client may stop reading."""

    heartbeat_s: Seconds = 15.0
    """After how much silence a client is sent a sign of life."""

    drain_s: Seconds = 10.0
    """How long running answers may go on when the server is told to stop."""

    lease_s: LeaseSeconds = 60.0
    """How long a call's hold stands without a sign of life from its server; running answers
    renew it."""


class RetryConfig(Section, frozen=True, kw_only=True):
    """How a provider's failure before its first token is tried again."""

    max_attempts: Count = 3
    """Calls to providers for one request, the first one included."""

    base_delay_s: Seconds = 0.5
    """The longest first wait; it doubles with each attempt, and a random part of it is waited."""

    max_delay_s: Seconds = 8.0
    """The longest wait between two attempts."""

    deadline_s: Seconds = 20.0
    """After this long since the request came no further attempt begins."""


class PriceConfig(Section, frozen=True, kw_only=True):
    """What a model costs, in dollars for a million tokens."""

    input_usd_per_million: Decimal
    """Input tokens."""

    output_usd_per_million: Decimal
    """Output tokens, reasoning included."""

    cached_input_usd_per_million: Decimal | None = None
    """Input tokens read from the provider's cache; left out: the same as any input."""

    cache_write_usd_per_million: Decimal | None = None
    """Input tokens written to the provider's cache; left out: the same as any input."""


class KeyConfig(Section, frozen=True, kw_only=True):
    """One caller that shows a key. The key itself is nowhere: ``chatnest key NAME`` makes one."""

    name: Name
    """Who it is; the caller's account is ``key:NAME``."""

    sha256: Sha256
    """The SHA-256 of the key, in hexadecimal."""

    profiles: tuple[str, ...] | None = None
    """The usage profiles that the caller may name; left out: all of them."""

    default_profile: str | None = None
    """The profile where the caller names none; left out: the one of the whole tree."""

    scopes: tuple[Text, ...] = ()
    """Further budgets that the caller's requests count in, such as ``team:red``."""


class AuthConfig(Section, frozen=True, kw_only=True):
    """Who may call. Without a key in it everybody may, with one account for each address."""

    keys: tuple[KeyConfig, ...] = ()
    """The callers that are known by a key."""


class HttpConfig(Section, frozen=True, kw_only=True):
    """Which HTTP routes are mounted, and where."""

    mount: bool = True
    """Whether the chat and usage routes are mounted at all."""

    path: UrlPath = "/api"
    """Where: the chat is at ``PATH/chat`` and the caller's own usage at ``PATH/usage``."""

    mount_health: bool = True
    """Whether the health routes are mounted."""

    health_path: UrlPath = "/health"
    """Where: ``PATH/live`` and ``PATH/ready``."""


class ChatNestConfig(Section, frozen=True, kw_only=True):
    """What one ChatNest runs with. ``ChatNestConfig()`` works as it is."""

    provider: Text | None = None
    """Who answers: ``openai``, ``local`` or ``scripted``. Left out: ``openai`` where
    ``OPENAI_API_KEY`` or ``base_url`` is set, else ``local``."""

    model: Text | None = None
    """The model that is asked; left out: the provider's usual one."""

    base_url: Text | None = None
    """Where an OpenAI-compatible server is, if not at the provider's own address."""

    context_window: Count | None = None
    """Tokens that the model can take, where the provider's own figure is not right."""

    store: str | None = None
    """Where accounts are kept, as a URL: ``memory://``, ``sqlite:///ledger.db`` (four slashes
    before a full path), ``postgresql://…`` or ``redis://…``, these two with ``?ledger=NAME`` for
    one of several ledgers on a server. Left out: the commands keep them in a file of the user's,
    which ``chatnest check`` names; an application of yours keeps them in memory."""

    history_days: HistoryDays = 400
    """How many days the journal keeps calls that have ended; their accounts are kept for good."""

    host: str = "127.0.0.1"
    """The address that the server listens on."""

    port: Port = 8000
    """The port that the server listens on; 0 takes a free one."""

    workers: Count = 1
    """Server processes. More than one needs a store that processes share: any but memory."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose ``X-Forwarded-For`` is believed."""

    log_level: LogLevel = "info"
    """The least important messages that the server writes."""

    access_log: bool = False
    """Whether the server writes a line for every HTTP request."""

    max_body_bytes: Count = 1_048_576
    """The largest request body."""

    profiles: dict[str, ProfileConfig] = msgspec.field(default_factory=dict)
    """Changes to the built-in usage profiles, and new ones, by name."""

    default_profile: str = "balanced"
    """The profile of a request that names none."""

    anonymous_profiles: tuple[str, ...] = ("constrained", "balanced", "expanded")
    """The profiles that callers without a key may name."""

    budgets: tuple[BudgetConfig, ...] = ()
    """Limits on top of the profiles'. Where none is for ``global`` tokens a day, one of 500,000
    is added, so that there is always a limit for everybody together."""

    time_zone: str = "UTC"
    """Where days and months begin, as an IANA name."""

    time_limits: TimeLimitsConfig = msgspec.field(default_factory=TimeLimitsConfig)
    """How long anything may take."""

    retry: RetryConfig = msgspec.field(default_factory=RetryConfig)
    """How a provider's failures are tried again."""

    client_system_prompt: bool = False
    """Whether clients may send system messages."""

    unknown_price: Literal["refuse", "ignore"] = "refuse"
    """What to do with a model of unknown price where a budget in dollars applies."""

    fallback_price: Text | None = None
    """A priced model, as ``provider/model``, whose price is charged where a model's own is not
    known. With it no price is unknown."""

    rate_algorithm: Literal["gcra", "fixed_window"] = "gcra"
    """How requests a minute are counted: ``gcra`` lets a burst through and then spreads the rest
    evenly; ``fixed_window`` counts anew each minute."""

    prices: dict[str, PriceConfig] = msgspec.field(default_factory=dict)
    """Prices that replace the shipped ones, by ``provider/model``."""

    auth: AuthConfig = msgspec.field(default_factory=AuthConfig)
    """Who may call."""

    http: HttpConfig = msgspec.field(default_factory=HttpConfig)
    """Which HTTP routes are mounted, and where."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"ChatNestConfig({fields})"

    # msgspec's own __rich_repr__ would show what __repr__ hides.
    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            yield field.name, without_credentials(value) if field.name in _URLS else value


_URLS = frozenset({"base_url", "store"})


def without_credentials(url: str | None) -> str | None:
    """*url* with neither user, password nor query, for people to read."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "…" if "@" in url else url
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    if "@" in after and scheme != "sqlite":
        return f"{scheme}://…"  # perhaps of a password in which nobody encoded a / or a ?
    return f"{scheme}://{authority.rpartition('@')[2]}{after.partition('?')[0]}"
