"""The command line: ``chatnest``, and ``litestar … chatnest`` in a host application.

An error of the configuration ends a command with ``chatnest: …`` on standard error and the exit
code 2; ``chatnest check``, whose answer it is, ends with 1.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from chatnest.app.cli_shared import (
    CommandError,
    Commands,
    ask_store,
    config_option,
    load_settings,
    server_options,
)
from chatnest.app.config import ChatNestConfig, KeyConfig
from chatnest.app.config_checks import warnings
from chatnest.app.config_summary import summary
from chatnest.app.keys import key_digest, new_key
from chatnest.app.ledger_commands import ledger_commands, usage_command
from chatnest.app.price_commands import prices_command
from chatnest.app.provider_listing import provider_lines
from chatnest.app.route_choice import RouteChoice, choose_routes, chosen_providers
from chatnest.app.settings_tree import checked_value, field_type
from chatnest.app.store_choice import StoreChoice, choose_store
from chatnest.app.version import installed_version
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError
from chatnest.domain.ledger import Change, Keys

QUESTION = '{"messages":[{"id":"1","role":"user","content":"What is the capital of France?"}]}'


@click.group("chatnest", cls=Commands)
@click.version_option(installed_version(), prog_name="chatnest")
def commands() -> None:
    """A chat backend that cannot overspend."""


@commands.command("serve")
@server_options
def serve_command(config: Path | None, **flags: object) -> None:
    """Run the standalone server."""
    settings, routes = _ready(config, flags)
    from chatnest.app.server import configure_logging, serve  # no other command needs a server

    configure_logging(settings)
    for warning in warnings(settings):
        click.echo(f"chatnest: {warning}", err=True)
    _meet_ledger(choose_store(settings))
    serve(settings, lambda url: click.echo(greeting(settings, routes, url)))


@commands.command("check")
@server_options
def check_command(config: Path | None, **flags: object) -> None:
    """Say what would run, and start nothing."""
    try:
        settings, routes = _ready(config, flags)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    for line in summary(settings, routes, os.environ):
        click.echo(line)
    for warning in warnings(settings):
        click.echo(f"warning: {warning}")


@commands.command("providers")
@config_option
def providers_command(config: Path | None) -> None:
    """List the providers, what they can do, and what keeps each from working."""
    settings = ChatNestConfig()
    routes: tuple[RouteChoice, ...] = ()
    unsound: ConfigurationError | None = None
    try:
        settings = load_settings(config, {})
        routes = choose_routes(settings, os.environ)
    except ConfigurationError as error:
        unsound = error  # the list may be what is needed to put it right
    for line in provider_lines(settings, routes, os.environ):
        click.echo(line)
    if unsound is not None:
        raise unsound


@commands.command("key")
@click.argument("name")
def key_command(name: str) -> None:
    """Make a key for the caller NAME; it is shown once and kept nowhere."""
    checked_value(name, field_type(KeyConfig, "name", ""), "NAME")
    key = new_key()
    click.echo(f"The key of {name}, to be given to it alone:\n\n  {key}\n")
    click.echo("For chatnest.toml, which keeps only its hash:\n")
    click.echo(f'[[auth.keys]]\nname = "{name}"\nsha256 = "{key_digest(key).hex()}"')


def _meet_ledger(choice: StoreChoice) -> None:
    """Refuse a ledger that is none to work with before a server is announced.

    One that does not answer may come yet: until then the server refuses chats.
    """
    if choice.is_shared:
        with suppress(StoreUnavailableError):
            ask_store(choice, lambda store: store.transact(Keys(), lambda rows: Change(None)))


commands.add_command(ledger_commands)
commands.add_command(usage_command)
commands.add_command(prices_command)


def _ready(
    config: Path | None, flags: Mapping[str, object]
) -> tuple[ChatNestConfig, tuple[RouteChoice, ...]]:
    """The settings and the routes of a server that has all that it needs.

    Raises:
        ConfigurationError: something is missing, or cannot work.
    """
    settings = load_settings(config, flags)
    routes = choose_routes(settings, os.environ)
    for provider in chosen_providers(routes):
        provider.require(os.environ)
    choose_store(settings).require()
    return settings, routes


def greeting(config: ChatNestConfig, routes: Sequence[RouteChoice], url: str) -> str:
    """What is said when the server takes chats: where, with what, and how to try it."""
    default, *others = routes
    by = ", else ".join(provider.name for provider in chosen_providers([default]))
    model = f"{default.name} by {by}"
    if others:
        model += f", {len(others)} more"
    store = choose_store(config).shown
    key = " -H 'authorization: Bearer KEY'" if config.auth.keys else ""
    return (
        f"ChatNest is at {url} ({model}, accounts in {store}). Try:\n"
        f"  curl -N {url}{config.http.path.rstrip('/')}/chat{key} "
        f"-H 'content-type: application/json' -d '{QUESTION}'"
    )


def main() -> None:
    """The console script."""
    commands(prog_name="chatnest")
