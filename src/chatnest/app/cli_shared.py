"""What the commands share: the flags that change settings, and how an error is told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.app.config import ChatNestConfig
from chatnest.app.settings_sources import load
from chatnest.app.store_choice import StoreChoice, open_store, user_store_url
from chatnest.domain.errors import ChatNestError, ConfigurationError
from chatnest.domain.ports import LedgerStore

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])


class CommandError(click.ClickException):
    """An error that a person is told in a sentence, without a traceback."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Write the sentence to standard error."""
        click.echo(f"chatnest: {self.message}", file=file, err=file is None)


class ConfigurationCommandError(CommandError):
    """The configuration must be changed before the command can work."""

    exit_code = 2


class Commands(click.Group):
    """A group whose commands may raise what ChatNest raises."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named; what ChatNest raises ends it with a sentence."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise ConfigurationCommandError(str(error)) from error
        except ChatNestError as error:
            raise CommandError(str(error)) from error


def config_option(command: C) -> C:
    """Add the flag that says which configuration is meant."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="The configuration file, if not chatnest.toml.",
    )(command)


def store_options(command: C) -> C:
    """Add the flags that say which ledger is meant."""
    command = click.option("--store", help="Where accounts are kept, as a URL.")(command)
    return config_option(command)


def server_options(command: C) -> C:
    """Add the flags that change a server's settings; each has the name of its setting."""
    for option in (
        click.option("--workers", type=int, help="Server processes."),
        click.option("--base-url", help="Where the provider's server is."),
        click.option("--model", help="The model that is asked."),
        click.option("--provider", help="Who answers; `chatnest providers` lists them."),
        click.option("--port", type=int, help="The port to listen on."),
        click.option("--host", help="The address to listen on."),
    ):
        command = option(command)
    return store_options(command)


def ask_store(choice: StoreChoice, question: Callable[[LedgerStore], Awaitable[T]]) -> T:
    """What the store answers to *question*; it is opened and closed for that.

    Raises:
        ConfigurationError: the ledger is none that this version can work with.
        StoreUnavailableError: the store did not answer.
    """

    async def ask() -> T:
        store = open_store(choice, SystemClock(), SystemRandomness(SystemClock()))
        try:
            return await question(store)
        finally:
            await store.aclose()

    return asyncio.run(ask())


def load_settings(file: Path | None, flags: Mapping[str, object]) -> ChatNestConfig:
    """The settings of a command: accounts are in the user's own file unless it is told otherwise.

    Raises:
        ConfigurationError: a source of settings says what cannot work.
    """
    return load(file, flags=flags, usual={"store": user_store_url()})
