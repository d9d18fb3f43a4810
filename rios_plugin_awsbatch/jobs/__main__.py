"""The main job: fetches the script that was submitted, runs it, and ends as it does.

Batch starts it as ``rios-awsbatch-main``, with what it needs in the environment; the script's own
variables are in the archive. SIGTERM (the job is cancelled, its instance reclaimed, its time over)
goes to the script, which ends its run in order; Batch kills both half a minute later.
"""

import argparse
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.names import archive_key, record_key
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.programs import configure_logging, errors_as_sentences, exit_status
from rios_plugin_awsbatch.run.runtimes import SUBMITTED_FILES
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import read_stack

from .files import Files, fetched
from .record import read_record

__all__ = ["main", "run_submitted"]

log = logging.getLogger(__name__)


class _Script:
    """The user's script as a process, which gets the signals that this one gets."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.told_to_end = False

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.told_to_end = True
        if self._process is None:  # its files are still being fetched
            sys.exit(128 + number)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)

    def run(self, files: Files) -> int:
        """Run the script and return its exit status, as a shell has it."""
        given = {**os.environ, **files.manifest.variables}
        environment = {
            **given,
            "PYTHONPATH": files.python_path(given),
            "PYTHONUNBUFFERED": "1",
            # Workers fetch these themselves.
            SUBMITTED_FILES: str(files.folder.parent),
        }
        script = files.folder / files.manifest.script
        self._process = subprocess.Popen(  # noqa: S603 - running what was submitted is the purpose
            [sys.executable, str(script), *files.manifest.arguments],
            cwd=files.folder,
            env=environment,
        )
        return exit_status(self._process.wait())


def run_submitted() -> int:
    """Run the script that the environment names.

    Returns:
        Its exit status.

    Raises:
        AWSBatchException: It cannot be fetched or run.
    """
    settings = load(Settings)
    configure_logging(settings.log_level)
    if settings.submission is None:
        raise SubmissionError(
            "RIOS_AWSBATCH_SUBMISSION is not set; `rios-awsbatch submit` sets it for the job that "
            "it starts."
        )
    script = _Script()
    script.listen()
    clients = Clients(settings.region)
    bucket = settings.bucket or read_stack(clients, settings, "bucket").bucket
    identity = settings.submission.partition(":")[0]
    with fetched(clients, bucket, settings.submission) as files:
        command = " ".join([files.manifest.script, *files.manifest.arguments])
        log.info("submission=%s runs %s", identity, command)
        status = script.run(files)
    log.info("submission=%s ended with exit status %d", identity, status)
    # If it was told to end, Batch may start another attempt, on an instance that is not reclaimed.
    if not script.told_to_end:
        with attempted(identity, "delete its files", kind="submission"):
            _forget(clients, bucket, identity)
    return status


def _forget(clients: Clients, bucket: str, identity: str) -> None:
    """Delete the files, and the record too unless it names what the main job may not deregister."""
    record = read_record(clients, bucket, identity)
    keys = [archive_key(identity)]
    if record.definition is None:
        keys.append(record_key(identity))
    for key in keys:
        clients.s3.delete_object(Bucket=bucket, Key=key)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the console script ``rios-awsbatch-main``; it ends as the user's script does."""
    parser = argparse.ArgumentParser(
        prog="rios-awsbatch-main",
        description="Run the script of a main job of rios-plugin-awsbatch. AWS Batch starts this "
        "program; everything it needs is in the environment, which `rios-awsbatch submit` sets.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.parse_args(arguments)
    with errors_as_sentences(parser.prog):
        sys.exit(run_submitted())


if __name__ == "__main__":
    main()
