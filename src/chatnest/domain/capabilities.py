"""What a provider can be asked for: what it cannot is refused, never silently dropped."""

from chatnest.domain.values import value


@value
class Capabilities:
    """What a provider takes beside text.

    ``tools``: tool definitions, calls and results. ``images``: pictures in messages. ``wire`` names
    the wire whose further fields, those of a request's ``extra``, it passes on as they came; None
    takes none. ``user_first``: the first message after the system's must be a user's.
    """

    tools: bool = False
    images: bool = False
    wire: str | None = None
    user_first: bool = False


TEXT_ONLY = Capabilities()
