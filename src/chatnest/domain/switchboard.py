"""Finds the targets of a model by its public name."""

from collections.abc import Sequence

from chatnest.domain.errors import ConfigurationError, InvalidRequestError
from chatnest.domain.live_target import LiveTarget
from chatnest.domain.policy import ChatPolicy, TimeLimits
from chatnest.domain.ports import Clock, TokenCounter
from chatnest.domain.routes import Route, Target
from chatnest.domain.values import value


@value
class LiveRoute:
    """A route while the process runs."""

    name: str
    targets: tuple[LiveTarget, ...]
    time_limits: TimeLimits


class Switchboard:
    """Every route by its name, over one :class:`LiveTarget` for each target.

    Raises:
        ConfigurationError: there is no route, or two have one name.
    """

    def __init__(
        self, routes: Sequence[Route], counter: TokenCounter, clock: Clock, policy: ChatPolicy
    ) -> None:
        self._routes: dict[str, LiveRoute] = {}
        lives: dict[Target, LiveTarget] = {}
        for route in routes:
            if route.name in self._routes:
                raise ConfigurationError(f"two routes are called {route.name!r}")
            limits = route.time_limits or policy.time_limits
            probe_us = min(limits.connect_us + limits.first_token_us, policy.circuit.open_us)
            for target in route.targets:
                if target not in lives:
                    lives[target] = LiveTarget(target, counter, clock, policy.circuit, probe_us)
            targets = tuple(lives[target] for target in route.targets)
            self._routes[route.name] = LiveRoute(route.name, targets, limits)
        if not self._routes:
            raise ConfigurationError("a chat service needs at least one route")

    @property
    def names(self) -> tuple[str, ...]:
        """The public names, the usual one first."""
        return tuple(self._routes)

    def route(self, name: str | None) -> LiveRoute:
        """The route called *name*; None takes the first.

        Raises:
            InvalidRequestError: there is none.
        """
        if name is None:
            return next(iter(self._routes.values()))
        route = self._routes.get(name)
        if route is None:
            there_are = ", ".join(self._routes)
            raise InvalidRequestError(f"no such model; there is: {there_are}", field="model")
        return route
