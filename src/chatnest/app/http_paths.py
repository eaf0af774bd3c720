"""Where each HTTP route is, and that no two of them are in one place."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from chatnest.app.config import HttpConfig
from chatnest.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class HttpPaths:
    """The whole path of every route, mounted or not. ``models`` has one of each model below it."""

    chat: str
    ui_chat: str
    usage: str
    chat_completions: str
    responses: str
    models: str
    messages: str
    count_tokens: str
    ag_ui: str
    live: str
    ready: str


def paths_of(http: HttpConfig) -> HttpPaths:
    """Where *http* has its routes."""
    own, v1, health = (path.rstrip("/") for path in (http.path, http.v1_path, http.health_path))
    return HttpPaths(
        chat=f"{own}/chat",
        ui_chat=f"{own}/ui/chat",
        usage=f"{own}/usage",
        chat_completions=f"{v1}/chat/completions",
        responses=f"{v1}/responses",
        models=f"{v1}/models",
        messages=f"{v1}/messages",
        count_tokens=f"{v1}/messages/count_tokens",
        ag_ui=http.ag_ui_path,
        live=f"{health}/live",
        ready=f"{health}/ready",
    )


def check_paths(http: HttpConfig) -> None:
    """Pass where every route that *http* mounts has a place of its own.

    Raises:
        ConfigurationError: two are in one; names the settings that put them there.
    """
    taken: list[_Route] = []
    for route in _mounted(http):
        for other in taken:
            if route.meets(other):
                raise ConfigurationError(
                    f"http.{route.setting}: {route.path} is {other.what} already, by "
                    f"http.{other.setting}; choose another path for one of them."
                )
        taken.append(route)


class _Route(NamedTuple):
    """``below``: everything under the path is the route's too. ``method`` None: it shares no path.

    Litestar puts two methods on one path only where one router has both.
    """

    what: str
    setting: str
    method: str | None
    path: str
    below: bool = False

    def meets(self, other: "_Route") -> bool:
        """Whether a request could mean this one and the *other*."""
        if self.method != other.method and None not in (self.method, other.method):
            return False
        here, there = f"{self.path}/", f"{other.path}/"
        return (
            here == there
            or (other.below and here.startswith(there))
            or (self.below and there.startswith(here))
        )


def _mounted(http: HttpConfig) -> Iterator[_Route]:
    paths = paths_of(http)
    yield _Route("the usage", "path", "GET", paths.usage)
    if "chatnest" in http.dialects:
        yield _Route("ChatNest's chat", "path", "POST", paths.chat)
    if "ai-sdk" in http.dialects:
        yield _Route("the AI SDK's chat", "path", "POST", paths.ui_chat)
    if "openai" in http.dialects:
        yield _Route("Chat Completions", "v1_path", "POST", paths.chat_completions)
        yield _Route("Responses", "v1_path", "POST", paths.responses)
        yield _Route("the list of models", "v1_path", "GET", paths.models, below=True)
    if "anthropic" in http.dialects:
        yield _Route("Messages", "v1_path", "POST", paths.messages)
        yield _Route("the count of tokens", "v1_path", "POST", paths.count_tokens)
    if "ag-ui" in http.dialects:
        yield _Route("the AG-UI agent", "ag_ui_path", "POST", paths.ag_ui)
    if http.mount and http.mount_health:
        yield _Route("a health route", "health_path", None, paths.live)
        yield _Route("a health route", "health_path", None, paths.ready)
