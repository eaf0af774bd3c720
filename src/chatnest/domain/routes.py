"""Where chats go: public model names, and the targets behind each in order of preference."""

from dataclasses import dataclass

from chatnest.domain.policy import TimeLimits
from chatnest.domain.ports import ChatProvider
from chatnest.domain.windows import US_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A model at a provider; ``context_window`` in tokens if known.

    At most ``max_concurrent`` calls are under way at once, None: any number; a further one waits at
    most ``max_wait_us`` for a place. Routes that share a target share its object, and with it what
    is known of its health.
    """

    provider: ChatProvider
    model: str
    context_window: int | None = None
    max_concurrent: int | None = None
    max_wait_us: int = US_PER_S

    def __post_init__(self) -> None:
        if self.max_concurrent is not None and self.max_concurrent < 1:
            raise ValueError(f"max_concurrent must be at least 1, got {self.max_concurrent}")

    @property
    def name(self) -> str:
        """``provider/model``, as the configuration and the prices have it."""
        return f"{self.provider.name}/{self.model}"


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The targets behind a public model name, the preferred one first.

    ``time_limits`` None: those of the policy.

    Raises:
        ValueError: there is no target.
    """

    name: str
    targets: tuple[Target, ...]
    time_limits: TimeLimits | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError(f"the route {self.name!r} has no target")
