"""What several commands share: the stack that the settings name, and messages to the user."""

from typing import Any, NamedTuple

import click

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.settings import Settings, load, region_of
from rios_plugin_awsbatch.stack.outputs import StackOutputs, read_stack

__all__ = ["OpenedStack", "note", "opened_aws", "opened_stack"]


class OpenedStack(NamedTuple):
    """The stack that the settings name.

    Attributes:
        clients: AWS clients of its region.
        settings: The settings.
        stack: Its outputs.
    """

    clients: Clients
    settings: Settings
    stack: StackOutputs


def opened_aws(**given: Any) -> tuple[Clients, Settings]:
    """Return AWS clients and the settings that name their region.

    Args:
        given: Settings that go before those of the environment.

    Raises:
        SettingsError: A setting cannot be used.
    """
    settings = load(Settings, **given)
    return Clients(region_of(settings)), settings


def opened_stack(*fields: str) -> OpenedStack:
    """Return the stack that the settings name.

    Args:
        fields: Fields of `StackOutputs` that the command needs.

    Raises:
        SettingsError: A setting cannot be used.
        StackError: The stack cannot be read, or lacks an output.
    """
    clients, settings = opened_aws()
    return OpenedStack(clients, settings, read_stack(clients, settings, *fields))


def note(text: str) -> None:
    """Tell the user something on standard error, apart from the command's output."""
    click.echo(text, err=True)
