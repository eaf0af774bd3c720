"""The core: policies as pure functions, and the one use case over ports.

Needs the standard library alone, so that it can be used under any transport. The names here are
for those who call it and for those who write a provider; the modules have the rest.
"""

from chatnest.domain.admission import Admitted, RateRule, RateStatus, Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.budget import Balance, BudgetRule, Unit
from chatnest.domain.capabilities import TEXT_ONLY, Capabilities
from chatnest.domain.chat import ChatService
from chatnest.domain.circuit import CircuitPolicy
from chatnest.domain.errors import (
    BusyError,
    ChatNestError,
    ConfigurationError,
    Failure,
    FailureKind,
    IllegalEventError,
    InvalidRequestError,
    ProviderError,
    PublicError,
    StoreUnavailableError,
)
from chatnest.domain.events import (
    ChatEvent,
    Delta,
    EventBatch,
    Failed,
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)
from chatnest.domain.policy import ChatPolicy, TimeLimits, UnknownPrice
from chatnest.domain.ports import (
    CallReport,
    ChatProvider,
    Clock,
    LedgerStore,
    Observer,
    PriceBook,
    ProviderCall,
    ProviderStream,
    Randomness,
    Timer,
    TokenCounter,
    TokenOverhead,
)
from chatnest.domain.profiles import HardCaps, Profile, Profiles, Wishes
from chatnest.domain.rate_limit import Algorithm, Quota
from chatnest.domain.requests import ChatRequest, Principal
from chatnest.domain.retry import RetryPolicy, failure_from_response
from chatnest.domain.routes import Route, Target
from chatnest.domain.tools import Tool, ToolChoice, ToolMode
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.usage_view import DayAccount, DayUsage, UsageView
from chatnest.domain.windows import Period, Window

__all__ = [
    "TEXT_ONLY",
    "Admitted",
    "Algorithm",
    "Answer",
    "Balance",
    "BudgetRule",
    "BusyError",
    "CallReport",
    "Capabilities",
    "ChatEvent",
    "ChatNestError",
    "ChatPolicy",
    "ChatProvider",
    "ChatRequest",
    "ChatService",
    "CircuitPolicy",
    "Clock",
    "ConfigurationError",
    "DayAccount",
    "DayUsage",
    "Delta",
    "EventBatch",
    "Failed",
    "Failure",
    "FailureKind",
    "FinishReason",
    "Finished",
    "HardCaps",
    "IllegalEventError",
    "ImagePart",
    "InvalidRequestError",
    "LedgerStore",
    "Message",
    "Observer",
    "Part",
    "Period",
    "Price",
    "PriceBook",
    "Principal",
    "Profile",
    "Profiles",
    "ProviderBatch",
    "ProviderCall",
    "ProviderError",
    "ProviderEvent",
    "ProviderStream",
    "PublicError",
    "Quota",
    "Randomness",
    "RateRule",
    "RateStatus",
    "ReasoningDelta",
    "ReasoningPart",
    "Refusal",
    "RefusalCode",
    "RefusalDelta",
    "RetryPolicy",
    "Role",
    "Route",
    "Started",
    "StoreUnavailableError",
    "Target",
    "TextDelta",
    "TextPart",
    "TimeLimits",
    "Timer",
    "TokenCounter",
    "TokenOverhead",
    "TokenUsage",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolMode",
    "Unit",
    "UnknownPrice",
    "UsageReported",
    "UsageView",
    "Window",
    "Wishes",
    "failure_from_response",
]
