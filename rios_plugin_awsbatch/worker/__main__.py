"""The container's entry point: the console script ``rios-awsbatch-worker``."""

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_queue, sentence_for
from rios_plugin_awsbatch.aws.names import run_prefix
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.jobs.files import importable
from rios_plugin_awsbatch.programs import configure_logging
from rios_plugin_awsbatch.settings import WorkerSettings, load
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import RunKey
from rios_plugin_awsbatch.wire.queue import MessageQueue
from rios_plugin_awsbatch.wire.store import PayloadStore

from .compute import versions
from .process import ComputeProcess
from .worker import Stopped, Worker

__all__ = ["main"]

log = logging.getLogger(__name__)


def _stop(signal_number: int, _frame: object) -> NoReturn:
    signal.signal(signal_number, signal.SIG_IGN)
    raise Stopped(f"told to by {signal.Signals(signal_number).name}")


def _worker_name() -> str:
    job = os.environ.get("AWS_BATCH_JOB_ID", f"{socket.gethostname()}-{os.getpid()}")
    return job.replace(":", "-")


def work() -> None:
    """Work as the environment says.

    Raises:
        AWSBatchException: The worker cannot work; one clear sentence.
    """
    settings = load(WorkerSettings)
    configure_logging(settings.log_level)
    clients = Clients(settings.region)
    with importable(clients, settings.bucket, settings.submission):
        _work(settings, clients)


def _work(settings: WorkerSettings, clients: Clients) -> None:
    compute = ComputeProcess()  # starts while the clients are made
    name = _worker_name()
    try:
        exchange = Exchange(
            MessageQueue(clients.sqs, settings.in_queue),
            MessageQueue(clients.sqs, settings.out_queue),
            PayloadStore(clients.s3, settings.bucket, run_prefix(settings.run)),
            RunKey(settings.run, settings.run_key),
            settings.inline_limit,
        )
        worker = Worker(exchange, settings, name, clients)
        signal.signal(signal.SIGTERM, _stop)
        worker.announce("ready", versions())
        log.info("run=%s worker=%s is ready: %s", settings.run, name, versions())
        worker.run(compute)
    except Stopped as stopped:
        compute.kill()
        log.info("run=%s worker=%s ends: %s", settings.run, name, stopped)
    except AWS_ERRORS as error:
        compute.kill()
        if is_missing_queue(error):
            raise AWSBatchException(
                f"Queue {settings.out_queue} does not exist: the run has ended, or RIOS_AWSBATCH_OUT_QUEUE is not the "
                "URL of its queue."
            ) from error
        raise AWSBatchException(
            f"Worker {name} of run {settings.run} cannot work: {sentence_for(error)}"
        ) from error


def become(command: list[str]) -> NoReturn:
    """Let a program take the place of this process.

    Raises:
        AWSBatchException: There is no such program.
    """
    try:
        os.execvp(command[0], command)  # noqa: S606 - the job's command; a shell is what it must not go through
    except OSError as error:
        raise AWSBatchException(f"{command[0]} cannot be run: {error.strerror}.") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the console script ``rios-awsbatch-worker``; exits 0 when told to stop or idle too long."""
    parser = argparse.ArgumentParser(
        prog="rios-awsbatch-worker",
        description="Computes the tasks of a run of rios-plugin-awsbatch. AWS Batch starts it; everything it needs "
        "is in the environment (RIOS_AWSBATCH_*), which the run sets.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="COMMAND...",
        help="become this program instead: what Batch calls a job's command, it hands to the entry point",
    )
    command = parser.parse_args(arguments).command
    try:
        if command:
            become(command)
        work()
    except AWSBatchException as error:
        sys.exit(f"rios-awsbatch-worker: {error}")


if __name__ == "__main__":
    main()
