"""The command ``rios-awsbatch local``."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import click

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local import ACCOUNT, LocalAWS
from rios_plugin_awsbatch.programs import exit_status
from rios_plugin_awsbatch.stack.policy import PolicyNames, policy_text

__all__ = ["local"]

# Those of an embedded AWS, unless it is told others.
_STACK: Final = "RIOS"
_REGION: Final = "ap-southeast-2"


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--workers",
    default=4,
    show_default=True,
    type=click.IntRange(1),
    help="How many workers run at once.",
)
@click.option(
    "--logs", is_flag=True, help="Show on standard error what workers log and functions print."
)
@click.option(
    "--unkind",
    is_flag=False,
    flag_value=1,
    type=int,
    metavar="[SEED]",
    help="Be as unkind as the real AWS: delays, repetitions, throttling, machines that vanish. "
    "Another number makes other things happen.  [default: kind]",
)
@click.option(
    "--principal",
    default="owner",
    show_default=True,
    type=click.Choice(["owner", "main", "administrator"]),
    help="Who COMMAND is, and so what it may do: all; what the stack's policy for main scripts "
    "allows; or what the policy of `stack policy --for creator` allows.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def local(
    workers: int, unkind: int | None, principal: str, command: tuple[str, ...], *, logs: bool
) -> None:
    """Run COMMAND on an embedded AWS.

    It needs no account, no credentials and no network. boto3, this package and its workers use the
    embedded AWS as long as COMMAND runs; then it is gone, with everything in it. For example:

    \b
        rios-awsbatch local --workers 2 -- python script.py
    """  # noqa: D301 - click keeps the lines after such a mark as they are
    # `python` is the one that this package is installed for, in an active environment or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    names = PolicyNames(_STACK, ACCOUNT, _REGION, "aws")
    users = {"administrator": [policy_text("creator", names)]}
    with LocalAWS(
        workers=workers, logs=logs, unkind=unkind, principal=principal, users=users
    ) as aws:
        try:
            environment = {**aws.adapted(os.environ), "PATH": path}
            program = shutil.which(command[0], path=path) or command[0]
            process = subprocess.Popen([program, *command[1:]], env=environment)  # noqa: S603 - the user's own command
        except OSError as error:
            raise AWSBatchException(f"{command[0]} cannot be run: {error.strerror}.") from None
        sys.exit(_wait(process))


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Return the exit status of the user's command; signals are left to it."""
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return exit_status(process.wait())
        except KeyboardInterrupt:  # the terminal sends it to the command as well
            continue
