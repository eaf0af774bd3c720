"""What a configuration comes to, for people: after defaults, hard caps and added limits."""

from collections.abc import Iterator

from chatnest.app.config import ChatNestConfig, without_credentials
from chatnest.app.config_policy import to_budgets, to_price_book, to_profiles
from chatnest.app.provider_choice import ProviderChoice
from chatnest.app.store_choice import choose_store
from chatnest.domain.budget import BudgetRule, Unit
from chatnest.domain.profiles import Profiles
from chatnest.domain.usage import NANO_USD_PER_USD
from chatnest.domain.windows import Period


def summary(config: ChatNestConfig, provider: ProviderChoice) -> Iterator[str]:
    """Lines that say what would run with *config*."""
    yield f"server     {config.host}:{config.port}, workers {config.workers}"
    yield f"provider   {provider.name}"
    yield f"model      {provider.model(config)}"
    if config.base_url is not None:
        yield f"base_url   {without_credentials(config.base_url)}"
    yield f"price      {_price(config, provider)}"
    yield f"store      {choose_store(config).shown}"
    yield f"callers    {_callers(config)}"
    yield "profiles"
    yield from _profile_lines(to_profiles(config))
    yield "budgets"
    for rule in to_budgets(config):
        yield f"  {_budget_line(rule)}"


def _price(config: ChatNestConfig, provider: ProviderChoice) -> str:
    quote = to_price_book(config).lookup(provider.name, provider.model(config))
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
