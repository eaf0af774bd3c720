import pytest

from chatnest.app.config import ChatNestConfig, RetryConfig, TimeLimitsConfig
from chatnest.app.config_checks import check, warnings
from chatnest.app.config_routes import (
    ProviderConfig,
    RouteConfig,
    RouteTimeLimitsConfig,
    TargetConfig,
)
from chatnest.domain.errors import ConfigurationError
from tests.app.provider_packages import Packages

PATIENT = RetryConfig(deadline_s=60)


def refusal(config: ChatNestConfig) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check(config)
    return str(caught.value)


def routed(*targets: str, name: str = "fast", **settings: object) -> ChatNestConfig:
    routes = {name: RouteConfig(targets=targets)}
    return ChatNestConfig(routes=routes, **settings)  # type: ignore[arg-type]  # by name


def with_provider(name: str = "work", **settings: str) -> ChatNestConfig:
    section = ProviderConfig(**{"kind": "openai", **settings})  # type: ignore[arg-type]  # by name
    return routed(f"{name}/m", providers={name: section})


@pytest.mark.parametrize(
    "config",
    [
        routed("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", retry=PATIENT),
        routed("openai/models/a b/c:8b"),
        routed("openai/a", name="acme/fast"),
        routed("openai/a", name="Schnell & günstig"),
        routed("openai/a", model="fast"),
        with_provider(base_url="https://example.test/v1", api_key_env="WORK_KEY"),
        with_provider("a.b-c_d@e"),
        routed("mine/m", providers={"mine": ProviderConfig(factory="mine.chat:Provider.create")}),
        routed("openai/a", targets={"openai/a": TargetConfig(max_concurrent=2)}),
    ],
)
def test_what_fits_together_is_taken_and_nothing_is_said_about_it(config: ChatNestConfig) -> None:
    assert check(config) == config
    assert warnings(config, {}) == ()


def test_a_provider_of_another_package_is_known_without_being_imported(packages: Packages) -> None:
    packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat="1 / 0")
    assert check(routed("acme/m")) == routed("acme/m")
    assert packages.imported() == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ChatNestConfig(provider="opnai"),
            "provider: there is no provider 'opnai'. Did you mean openai?",
        ),
        (
            routed("openai/a", "antropic/b"),
            "routes.fast.targets[1]: there is no provider 'antropic'. Did you mean anthropic?",
        ),
        (
            routed("wrok/a", name="a b", providers={"work": ProviderConfig(kind="openai")}),
            "routes.\"a b\".targets[0]: there is no provider 'wrok'. Did you mean work?",
        ),
        (
            with_provider(kind="opnai"),
            "providers.work.kind: there is no provider 'opnai'. Did you mean openai?",
        ),
        (
            routed("work/m", providers={"work": ProviderConfig()}),
            "providers.work: there is no provider 'work'. There are anthropic, local, openai, "
            "scripted.",
        ),
        *(
            (
                routed(target),
                f"routes.fast.targets[0] must be PROVIDER/MODEL, such as openai/gpt-4o-mini, "
                f"not {target!r}.",
            )
            for target in (
                "gpt-4o",
                "/gpt-4o",
                "openai/",
                "openai/ gpt",
                "open ai/gpt",
                "openai/a\n",
            )
        ),
        (routed(), "routes.fast.targets is empty; name at least one, such as openai/gpt-4o-mini."),
        (
            routed("openai/a", "openai/b", "openai/a"),
            "routes.fast.targets[2]: 'openai/a' is there twice; keep one. retry.max_attempts "
            "says how often a request is tried.",
        ),
        (
            routed("openai/a", name="a\nb"),
            'routes."a\\nb" must be named in 1 to 200 printable characters.',
        ),
        (routed("openai/a", name=""), 'routes."" must be named in 1 to 200 printable characters.'),
        (
            routed("openai/a", model="slow"),
            "model: no route 'slow' here; there are fast.",
        ),
        (
            routed("openai/a", provider="openai"),
            "provider: that is for one provider alone; with routes name the provider in "
            "routes.NAME.targets.",
        ),
        (
            routed("openai/a", base_url="http://example.test"),
            "base_url: that is for one provider alone; with routes set providers.NAME.base_url.",
        ),
        (
            routed("openai/a", context_window=5),
            "context_window: that is for one provider alone; with routes set "
            'targets."PROVIDER/MODEL".context_window.',
        ),
        (
            with_provider("a/b"),
            'providers."a/b" must be a name of 1 to 64 letters, digits and the signs . _ @ -, '
            "not 'a/b'.",
        ),
        (
            with_provider(base_url="example.test"),
            "providers.work.base_url must begin with http:// or https://.",
        ),
        (
            with_provider(api_key_env="sk-a key"),
            "providers.work.api_key_env must be the name of an environment variable, such as "
            "WORK_API_KEY, not 'sk-a key'.",
        ),
        (
            with_provider(factory="acme_chat.create"),
            "providers.work.factory must be package.module:callable, not 'acme_chat.create'.",
        ),
        (
            with_provider("local", factory="acme_chat:create"),
            "providers.local.factory: what is called local is taken to cost nothing; give this "
            "provider another name.",
        ),
        (
            ChatNestConfig(targets={"gpt-4o": TargetConfig()}),
            "targets.gpt-4o must be PROVIDER/MODEL, such as openai/gpt-4o-mini, not 'gpt-4o'.",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_place_and_what_to_do(
    config: ChatNestConfig, message: str
) -> None:
    assert refusal(config) == message


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        (
            routed("openai/a", targets={"openai/b": TargetConfig(max_concurrent=1)}),
            'targets."openai/b": no route has this target.',
        ),
        (
            ChatNestConfig(provider="scripted", targets={"scripted/x": TargetConfig()}),
            'targets."scripted/x": no route has this target.',
        ),
        (
            routed("openai/a", providers={"work": ProviderConfig(kind="openai")}),
            "providers.work: no route has a target at this provider.",
        ),
        (
            routed("openai/a", "openai/b", retry=RetryConfig(deadline_s=20)),
            "routes.fast: a target that says nothing is given up after first_token_s, 30 s, and "
            "no other is asked after retry.deadline_s, 20 s.",
        ),
    ],
)
def test_what_may_not_be_meant_is_said(config: ChatNestConfig, warning: str) -> None:
    assert warnings(check(config), {}) == (warning,)


@pytest.mark.parametrize(
    ("first_token_s", "own_s", "warned"),
    [(20.0, None, False), (20.5, None, True), (30.0, 20.0, False), (10.0, 21.0, True)],
)
def test_a_stall_can_be_followed_by_another_target_where_the_deadline_is_not_before_it(
    first_token_s: float, own_s: float | None, warned: bool
) -> None:
    route = RouteConfig(
        targets=("openai/a", "openai/b"), time_limits=RouteTimeLimitsConfig(first_token_s=own_s)
    )
    limits = TimeLimitsConfig(first_token_s=first_token_s)
    retry = RetryConfig(deadline_s=20)
    config = ChatNestConfig(routes={"r": route}, time_limits=limits, retry=retry)
    assert bool(warnings(config, {})) is warned
