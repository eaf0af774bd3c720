"""Everything that an operator may set, as one frozen tree with working defaults.

The tree is a plain value: :mod:`chatnest.app.settings_sources` fills it from a file, the
environment and flags, and :mod:`chatnest.app.config_checks` says whether its parts fit together.
Providers' API keys are not in it, only the names of the environment variables that hold them.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from chatnest.app.config_routes import CircuitConfig, ProviderConfig, RouteConfig, TargetConfig
from chatnest.app.config_values import (
    Count,
    HistoryDays,
    LeaseSeconds,
    Name,
    Port,
    Seconds,
    Section,
    Sha256,
    Temperature,
    Text,
    UrlPath,
)

LogLevel = Literal["debug", "info", "warning", "error"]


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

    connect_s: Seconds = 10.0
    """From calling a provider to having a connection."""

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

    deadline_s: Seconds = 45.0
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


DialectName = Literal["chatnest", "openai", "anthropic", "ai-sdk", "ag-ui"]


class HttpConfig(Section, frozen=True, kw_only=True):
    """Which HTTP routes are mounted, and where."""

    mount: bool = True
    """Whether the chat and usage routes are mounted at all."""

    dialects: tuple[DialectName, ...] = ("chatnest", "openai", "anthropic", "ai-sdk", "ag-ui")
    """The dialects that are spoken: ChatNest's own, those of the SDKs of OpenAI and Anthropic, the
    AI SDK's UI message stream, and AG-UI."""

    path: UrlPath = "/api"
    """Where: ChatNest's own chat is at ``PATH/chat``, the AI SDK's at ``PATH/ui/chat``, and the
    caller's own usage at ``PATH/usage``."""

    v1_path: UrlPath = "/v1"
    """Where the clients of OpenAI and Anthropic find what they know: ``V1_PATH/chat/completions``,
    ``V1_PATH/responses``, ``V1_PATH/models``, ``V1_PATH/messages`` and
    ``V1_PATH/messages/count_tokens``."""

    ag_ui_path: UrlPath = "/agui"
    """Where AG-UI's agent is."""

    mount_health: bool = True
    """Whether the health routes are mounted."""

    health_path: UrlPath = "/health"
    """Where: ``PATH/live`` and ``PATH/ready``."""


class ChatNestConfig(Section, frozen=True, kw_only=True):
    """What one ChatNest runs with. ``ChatNestConfig()`` works as it is."""

    provider: Text | None = None
    """Who answers, without ``routes``: ``openai``, ``anthropic``, ``local``, ``scripted``, or any
    other that ``chatnest providers`` lists. Left out: the first of the first two that has a key
    in the environment, ``openai`` where ``base_url`` is set, else ``local``."""

    model: Text | None = None
    """The model that is asked; left out: the provider's usual one. With ``routes``: the route of
    requests that name no model; left out: the first."""

    base_url: Text | None = None
    """Where the provider's server is, if not at its own address; without ``routes``."""

    context_window: Count | None = None
    """Tokens that the model can take, where the provider's own figure is not right; without
    ``routes``."""

    providers: dict[str, ProviderConfig] = msgspec.field(default_factory=dict)
    """Providers by name: where their servers are, and whose keys they are sent."""

    routes: dict[str, RouteConfig] = msgspec.field(default_factory=dict)
    """What clients may name as their model, and who answers then. Left out: one route, called
    like ``model``."""

    targets: dict[str, TargetConfig] = msgspec.field(default_factory=dict)
    """Limits of single models at a provider, by ``PROVIDER/MODEL``."""

    circuit: CircuitConfig = msgspec.field(default_factory=CircuitConfig)
    """When a target that keeps failing is left alone for a while."""

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
