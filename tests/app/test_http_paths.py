"""Where the routes are: what Litestar would refuse, or would never reach, is refused by name."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException

from chatnest import ChatNestConfig, ChatNestPlugin, ConfigurationError, HttpConfig
from chatnest.app.http_paths import check_paths
from chatnest.app.routes import chat_routers, health_router

PATHS = st.sampled_from(
    [
        *("/", "/api", "/api/chat", "/api/ui/chat", "/chat", "/v1", "/v1/responses"),
        *("/v1/messages", "/v1/models", "/messages", "/models", "/usage", "/live", "/health"),
        *("/health/live", "/health/ready"),
    ]
)
# How many routes each dialect has, beside the usage and two of health.
ROUTES = {"chatnest": 1, "openai": 4, "anthropic": 2, "ai-sdk": 1, "ag-ui": 1}


@st.composite
def https(draw: st.DrawFn) -> HttpConfig:
    dialects: Any = draw(st.lists(st.sampled_from(list(ROUTES)), unique=True))
    return HttpConfig(
        dialects=tuple(dialects),
        path=draw(PATHS),
        v1_path=draw(PATHS),
        ag_ui_path=draw(PATHS),
        health_path=draw(PATHS),
        mount_health=draw(st.booleans()),
    )


def is_refused(http: HttpConfig) -> bool:
    try:
        check_paths(http)
    except ConfigurationError:
        return True
    return False


def nothing() -> Any:
    raise AssertionError("no request is made")


def mounted(http: HttpConfig) -> Counter[tuple[str, str]] | None:
    """Method and path of every route as Litestar has them; None where it has not all of them."""
    routers = chat_routers(nothing, http)
    if http.mount_health:
        routers.append(health_router(nothing, http))
    given = 1 + sum(ROUTES[name] for name in http.dialects) + 2 * http.mount_health
    try:
        app = Litestar(routers, openapi_config=None, logging_config=None)
    except ImproperlyConfiguredException:
        return None
    routes = Counter(
        (str(method), route.path) for route in app.routes for method in route.methods - {"OPTIONS"}
    )
    # Of two in one place in one router it silently takes the last.
    return routes if routes.total() == given else None


@given(https())
@settings(max_examples=100)
def test_paths_are_refused_where_litestar_cannot_have_them_or_one_hides_another(
    http: HttpConfig,
) -> None:
    routes = mounted(http)
    hidden = False
    if routes is not None and "openai" in http.dialects:
        models = f"{http.v1_path.rstrip('/')}/models/"
        gets = [path for method, path in routes if method == "GET"]
        below = [path for path in gets if path.startswith(models)]
        hidden = len(below) > 1  # The route of each model is one of them.
    assert is_refused(http) is (routes is None or hidden)


def test_every_route_is_where_the_defaults_say() -> None:
    routes = mounted(HttpConfig())
    assert routes == Counter(
        [
            ("GET", "/api/usage"),
            ("GET", "/health/live"),
            ("GET", "/health/ready"),
            ("GET", "/v1/models"),
            ("GET", "/v1/models/{name:path}"),
            ("POST", "/agui"),
            ("POST", "/api/chat"),
            ("POST", "/api/ui/chat"),
            ("POST", "/v1/chat/completions"),
            ("POST", "/v1/messages"),
            ("POST", "/v1/messages/count_tokens"),
            ("POST", "/v1/responses"),
        ]
    )


@pytest.mark.parametrize(
    ("http", "message"),
    [
        (
            HttpConfig(ag_ui_path="/api/chat"),
            "http.ag_ui_path: /api/chat is ChatNest's chat already, by http.path; "
            "choose another path for one of them.",
        ),
        (
            HttpConfig(ag_ui_path="/v1/messages"),
            "http.ag_ui_path: /v1/messages is Messages already, by http.v1_path; "
            "choose another path for one of them.",
        ),
        (
            HttpConfig(path="/v1/models"),
            "http.v1_path: /v1/models is the usage already, by http.path; "
            "choose another path for one of them.",
        ),
        (
            HttpConfig(health_path="/v1/models"),
            "http.health_path: /v1/models/live is the list of models already, by http.v1_path; "
            "choose another path for one of them.",
        ),
    ],
)
def test_two_routes_in_one_place_are_refused_by_the_names_of_their_settings(
    http: HttpConfig, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ChatNestPlugin(ChatNestConfig(http=http))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "http",
    [
        HttpConfig(path="/v1"),
        HttpConfig(path="/", v1_path="/", ag_ui_path="/", health_path="/"),
        HttpConfig(ag_ui_path="/api/chat", dialects=("ag-ui", "openai")),
        HttpConfig(ag_ui_path="/api/usage"),
        HttpConfig(health_path="/v1/models", mount_health=False),
    ],
)
def test_routes_that_share_no_more_than_a_folder_are_taken(http: HttpConfig) -> None:
    check_paths(http)
    assert mounted(http) is not None
