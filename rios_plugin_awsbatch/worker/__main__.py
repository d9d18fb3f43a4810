"""The container's entry point: the console script ``rios-awsbatch-worker``.

It imports next to nothing at first. SIGTERM is heard from the beginning: the kernel ignores signals
that process 1 does not handle, which this is in a container without an init process. If the image
lacks a package, the last line of the log says so, and main finds it there.
"""

import argparse
import atexit
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final, NoReturn

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.errors import AWSBatchException, WorkersError
from rios_plugin_awsbatch.programs import errors_as_sentences

__all__ = ["main"]

_PROGRAM: Final = "rios-awsbatch-worker"
_UNWINDING_SECONDS: Final = 0.3


def _ignore(*signals: signal.Signals) -> None:
    for each in signals:
        signal.signal(each, signal.SIG_IGN)


def _leave_at_sigterm() -> None:
    """End in order at SIGTERM, and at once if that would wait, for a bucket for instance."""

    def end(_signal_number: int, _frame: FrameType | None) -> None:
        os._exit(0)

    def leave(_signal_number: int, _frame: FrameType | None) -> None:
        for again in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(again, end)
        signal.setitimer(signal.ITIMER_REAL, _UNWINDING_SECONDS)
        # Not print: this may interrupt one.
        os.write(2, f"{_PROGRAM}: told to stop by SIGTERM, before it was ready\n".encode())
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    # At its very end, the interpreter lets a signal kill the process unless it is ignored.
    atexit.register(_ignore, signal.SIGALRM, signal.SIGTERM)


def become(command: list[str]) -> NoReturn:
    """Replace this process by a program.

    Raises:
        AWSBatchException: There is no such program.
    """
    try:
        os.execvp(command[0], command)  # noqa: S606 - the job's command, which needs no shell
    except OSError as error:
        raise AWSBatchException(f"{command[0]} cannot be run: {error.strerror}.") from None


def _imported() -> Callable[[], None]:
    """Return what works, or explain why its modules cannot be imported."""
    try:
        from .start import work  # noqa: PLC0415 - it imports boto3 and all that may be missing
    except Exception as error:  # noqa: BLE001 - importing runs any code of the packages
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise WorkersError(
            f"This image cannot run workers ({reason[:500]}, in {sys.executable}). Build it again "
            "with `rios-awsbatch image build`, or look for what was installed into it afterwards."
        ) from None
    return work


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the console script ``rios-awsbatch-worker``; exit with 0 when told to stop, or idle."""
    _leave_at_sigterm()
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Compute the tasks of a run of rios-plugin-awsbatch. AWS Batch starts this "
        "program; the run sets everything it needs in the environment (RIOS_AWSBATCH_*).",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="COMMAND...",
        help="run this program instead (Batch passes a job's command to the image's entry point)",
    )
    command = parser.parse_args(arguments).command
    with errors_as_sentences(_PROGRAM):
        if command:
            become(command)
        _imported()()


if __name__ == "__main__":
    main()
