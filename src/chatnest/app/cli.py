"""The command line: ``chatnest``, and ``litestar … chatnest`` in a host application.

An error of the configuration ends a command with ``chatnest: …`` on standard error and the exit
code 2; ``chatnest check``, whose answer it is, ends with 1.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from chatnest.app.cli_shared import (
    CommandError,
    Commands,
    ask_store,
    load_settings,
    server_options,
)
from chatnest.app.config import ChatNestConfig, KeyConfig
from chatnest.app.config_checks import warnings
from chatnest.app.config_summary import summary
from chatnest.app.keys import key_digest, new_key
from chatnest.app.ledger_commands import ledger_commands, usage_command
from chatnest.app.price_commands import prices_command
from chatnest.app.provider_choice import PROVIDERS, ProviderChoice, choose_provider
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
    settings, choice = _ready(config, flags)
    from chatnest.app.server import configure_logging, serve  # no other command needs a server

    configure_logging(settings)
    for warning in warnings(settings):
        click.echo(f"chatnest: {warning}", err=True)
    _meet_ledger(choose_store(settings))
    serve(settings, lambda url: click.echo(greeting(settings, choice, url)))


@commands.command("check")
@server_options
def check_command(config: Path | None, **flags: object) -> None:
    """Say what would run, and start nothing."""
    try:
        settings, choice = _ready(config, flags)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    for line in summary(settings, choice):
        click.echo(line)
    for warning in warnings(settings):
        click.echo(f"warning: {warning}")


@commands.command("providers")
def providers_command() -> None:
    """List the providers, and what keeps each from working."""
    for choice in PROVIDERS.values():
        state = choice.obstacle(os.environ) or "ready"
        click.echo(f"{choice.name:<10} {choice.summary}")
        click.echo(f"{'':<10} {state}")


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
) -> tuple[ChatNestConfig, ProviderChoice]:
    """The settings and the provider of a server that has all that it needs.

    Raises:
        ConfigurationError: something is missing, or cannot work.
    """
    settings = load_settings(config, flags)
    choice = choose_provider(settings, os.environ)
    choice.require(settings, os.environ)
    choose_store(settings).require()
    return settings, choice


def greeting(config: ChatNestConfig, provider: ProviderChoice, url: str) -> str:
    """What is said when the server takes chats: where, with what, and how to try it."""
    model = provider.model(config)
    store = choose_store(config).shown
    key = " -H 'authorization: Bearer KEY'" if config.auth.keys else ""
    return (
        f"ChatNest is at {url} ({model} by {provider.name}, accounts in {store}). Try:\n"
        f"  curl -N {url}{config.http.path.rstrip('/')}/chat{key} "
        f"-H 'content-type: application/json' -d '{QUESTION}'"
    )


def main() -> None:
    """The console script."""
    commands(prog_name="chatnest")
