"""What a configuration comes to, for people: after defaults, hard caps and added limits."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import asdict

from chatnest.adapters.prices import PriceTable
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_policy import to_budgets, to_price_book, to_profiles
from chatnest.app.config_values import without_credentials
from chatnest.app.provider_choice import ProviderChoice
from chatnest.app.route_choice import RouteChoice, TargetChoice, chosen_providers
from chatnest.app.store_choice import choose_store
from chatnest.domain.budget import BudgetRule, Unit
from chatnest.domain.profiles import Profiles
from chatnest.domain.usage import NANO_USD_PER_USD
from chatnest.domain.windows import Period


def summary(
    config: ChatNestConfig, routes: Sequence[RouteChoice], environ: Mapping[str, str]
) -> Iterator[str]:
    """Lines that say what would run with *config*, whose routes are *routes*."""
    yield f"server     {config.host}:{config.port}, workers {config.workers}"
    yield f"store      {choose_store(config).shown}"
    yield f"callers    {_callers(config)}"
    yield "providers"
    for provider in chosen_providers(routes):
        yield f"  {_provider_line(provider, environ)}"
    yield "routes"
    yield from _route_lines(config, routes)
    yield f"limits     {_time_limits(asdict(config.time_limits))}"
    yield f"failures   {_failures(config)}"
    yield "profiles"
    yield from _profile_lines(to_profiles(config))
    yield "budgets"
    for rule in to_budgets(config):
        yield f"  {_budget_line(rule)}"


def _provider_line(provider: ProviderChoice, environ: Mapping[str, str]) -> str:
    kind = f" ({provider.kind})" if provider.kind != provider.name else ""
    parts = [f"by {provider.registration.origin}"]
    if provider.settings.base_url is not None:
        parts.append(f"at {without_credentials(provider.settings.base_url)}")
    key = provider.key_source(environ)
    if key is not None:
        parts.append(f"key in {key}")
    elif provider.built_in is not None and provider.built_in.key_variables:
        parts.append("no key")
    return f"{provider.name}{kind}: {', '.join(parts)}"


def _route_lines(config: ChatNestConfig, routes: Sequence[RouteChoice]) -> Iterator[str]:
    prices = to_price_book(config)
    for index, route in enumerate(routes):
        yield f"  {route.name}{' (default)' if index == 0 else ''}"
        for target in route.targets:
            yield f"    {target.name}: {'; '.join(_target_parts(prices, target))}"
        if limits := _time_limits(asdict(route.time_limits)):
            yield f"    limits: {limits}"


def _target_parts(prices: PriceTable, target: TargetChoice) -> Iterator[str]:
    yield _price(prices, target.provider.name, target.model)
    settings = target.settings
    if settings.context_window is not None:
        yield f"window {settings.context_window}"
    if settings.max_concurrent is not None:
        yield f"{settings.max_concurrent} at once, others wait {settings.max_wait_s:g} s"


def _time_limits(limits: Mapping[str, float | None]) -> str:
    given = {name.removesuffix("_s"): value for name, value in limits.items() if value is not None}
    return ", ".join(f"{name.replace('_', ' ')} {value:g} s" for name, value in given.items())


def _failures(config: ChatNestConfig) -> str:
    retry, circuit = config.retry, config.circuit
    return (
        f"{retry.max_attempts} attempts within {retry.deadline_s:g} s; after {circuit.failures} in "
        f"a row a target is left alone for {circuit.open_s:g} s"
    )


def _price(prices: PriceTable, provider: str, model: str) -> str:
    quote = prices.lookup(provider, model)
    price = quote.price
    if price is None:
        return "unknown; set it under [prices] where a budget is in dollars"
    return (
        f"{_usd(price.input_nano_usd)} USD in, {_usd(price.output_nano_usd)} USD out, "
        f"for a million tokens ({quote.origin})"
    )


def _callers(config: ChatNestConfig) -> str:
    names = [key.name for key in config.auth.keys]
    if names:
        return f"{len(names)} with keys: {', '.join(names)}"
    return f"anybody, by address; profiles {', '.join(config.anonymous_profiles) or 'none'}"


def _profile_lines(profiles: Profiles) -> Iterator[str]:
    for name in profiles.by_name:
        profile = profiles.get(name)
        if profile is not None:
            default = " (default)" if profiles.canonical(profiles.default) == name else ""
            yield f"  {name}{default}"
            yield (
                f"    output {profile.max_output_tokens}, messages {profile.max_messages}, "
                f"temperature {profile.temperature:g}, {profile.tokens_per_day} tokens a day, "
                f"{profile.tokens_per_request} a request, "
                f"{profile.requests_per_minute} requests a minute, "
                f"{profile.concurrent_streams} streams"
            )


def _budget_line(rule: BudgetRule) -> str:
    period = rule.window.period
    if period is Period.TOTAL:
        return f"{rule.scope}: {_amount(rule)} in total"
    zone = f" ({rule.window.zone})" if period in (Period.DAY, Period.MONTH) else ""
    return f"{rule.scope}: {_amount(rule)} a {period}{zone}"


def _amount(rule: BudgetRule) -> str:
    if rule.unit is Unit.NANO_USD and rule.limit is not None:
        return f"{_usd(rule.limit)} USD"
    return f"{rule.limit} {rule.unit}"


def _usd(nano_usd: int) -> str:
    dollars, nano = divmod(nano_usd, NANO_USD_PER_USD)
    return f"{dollars}.{nano:09d}".rstrip("0").rstrip(".")
