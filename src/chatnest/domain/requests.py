"""What a client asks for, and who asks, in every dialect's terms."""

from collections.abc import Mapping
from dataclasses import field

from chatnest.domain.messages import Message
from chatnest.domain.profiles import Wishes
from chatnest.domain.tools import Tool, ToolChoice
from chatnest.domain.values import value


@value
class Principal:
    """Who pays for a request.

    ``id`` names the account scope of the caller; ``scopes`` are further scopes that are charged
    too (``team:red``). ``profiles`` are the usage profiles that the caller may name: None allows
    every configured one. ``default_profile`` None takes the configuration's default.
    """

    id: str
    scopes: tuple[str, ...] = ()
    profiles: frozenset[str] | None = None
    default_profile: str | None = None


@value
class ChatRequest:
    """A decoded request: what is said, and what the client wishes for.

    ``wishes`` can only lower the profile's numbers. ``system_prompt`` is used only where the
    configuration allows it. ``model`` is the public name of a route; None takes the first one.
    ``end_user`` is the client's own name for whom it asks, for the provider's eyes.

    ``extra`` holds further fields of the wire called ``extra_wire``, to be passed on as they came:
    only a provider that speaks that wire can be sent them.

    ``idempotency_key`` is the caller's own name for the request: it is answered once.
    """

    messages: tuple[Message, ...]
    profile: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    wishes: Wishes = field(default_factory=Wishes)
    stop: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    extra_wire: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    top_p: float | None = None
    end_user: str | None = None
    idempotency_key: str | None = None
