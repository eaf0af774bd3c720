"""The command line: ``chatnest``, and ``litestar … chatnest`` in a host application.

An error of the configuration ends a command with ``chatnest: …`` on standard error and the exit
code 2; ``chatnest check``, whose answer it is, ends with 1.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from chatnest.app.config import ChatNestConfig, KeyConfig, without_credentials
from chatnest.app.config_checks import warnings
from chatnest.app.config_summary import summary
from chatnest.app.keys import key_digest, new_key
from chatnest.app.provider_choice import PROVIDERS, ProviderChoice, choose_provider
from chatnest.app.settings_sources import load
from chatnest.app.settings_tree import checked_value, field_type
from chatnest.app.version import installed_version
from chatnest.domain.errors import ChatNestError, ConfigurationError

C = TypeVar("C", bound=Callable[..., Any])

QUESTION = '{"messages":[{"id":"1","role":"user","content":"What is the capital of France?"}]}'


class CommandError(click.ClickException):
    """An error that a person is told in a sentence, without a traceback."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Write the sentence to standard error."""
        click.echo(f"chatnest: {self.message}", file=file, err=file is None)


class ConfigurationCommandError(CommandError):
    """The configuration must be changed before the command can work."""

    exit_code = 2


class _Commands(click.Group):
    """A group whose commands may raise what ChatNest raises."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise ConfigurationCommandError(str(error)) from error
        except ChatNestError as error:
            raise CommandError(str(error)) from error


@click.group("chatnest", cls=_Commands)
@click.version_option(installed_version(), prog_name="chatnest")
def commands() -> None:
    """A chat backend that cannot overspend."""


def _settings(command: C) -> C:
    """Add the flags that change settings; they reach the command as ``config`` and the rest."""
    for option in (
        click.option("--workers", type=int, help="Server processes."),
        click.option("--store", help="Where accounts are kept, as a URL."),
        click.option("--base-url", help="Where an OpenAI-compatible server is."),
        click.option("--model", help="The model that is asked."),
        click.option("--provider", help="Who answers; `chatnest providers` lists them."),
        click.option("--port", type=int, help="The port to listen on."),
        click.option("--host", help="The address to listen on."),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="The configuration file, if not chatnest.toml.",
        ),
    ):
        command = option(command)
    return command


@commands.command("serve")
@_settings
def serve_command(config: Path | None, **flags: object) -> None:
    """Run the standalone server."""
    settings = load(config, flags=flags)
    choice = choose_provider(settings, os.environ)
    choice.require(settings, os.environ)
    from chatnest.app.server import configure_logging, serve  # no other command needs a server

    configure_logging(settings)
    for warning in warnings(settings):
        click.echo(f"chatnest: {warning}", err=True)
    serve(settings, lambda url: click.echo(greeting(settings, choice, url)))


@commands.command("check")
@_settings
def check_command(config: Path | None, **flags: object) -> None:
    """Say what would run, and start nothing."""
    try:
        settings = load(config, flags=flags)
        choice = choose_provider(settings, os.environ)
        choice.require(settings, os.environ)
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


def greeting(config: ChatNestConfig, provider: ProviderChoice, url: str) -> str:
    """What is said when the server takes chats: where, with what, and how to try it."""
    model = provider.model(config)
    store = without_credentials(config.store)
    key = " -H 'authorization: Bearer KEY'" if config.auth.keys else ""
    return (
        f"ChatNest is at {url} ({model} by {provider.name}, accounts in {store}). Try:\n"
        f"  curl -N {url}{config.routes.path.rstrip('/')}/chat{key} "
        f"-H 'content-type: application/json' -d '{QUESTION}'"
    )


def main() -> None:
    """The console script."""
    commands(prog_name="chatnest")
