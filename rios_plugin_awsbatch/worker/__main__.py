"""The container's entry point: the console script ``rios-awsbatch-worker``."""

import argparse
import os
import signal
import socket
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_queue, sentence_for
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.jobs.files import importable
from rios_plugin_awsbatch.programs import configure_logging, errors_as_sentences
from rios_plugin_awsbatch.settings import WorkerSettings, load
from rios_plugin_awsbatch.wire.exchange import connect
from rios_plugin_awsbatch.wire.messages import RunKey

from .process import ComputeProcess
from .worker import Worker

__all__ = ["main"]


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
        exchange = connect(
            clients,
            tasks=settings.in_queue,
            results=settings.out_queue,
            bucket=settings.bucket,
            key=RunKey(settings.run, settings.run_key),
            inline_limit=settings.inline_limit,
        )
        worker = Worker(exchange, settings, name, clients, compute)
        _stop_at_sigterm(worker)
        worker.run()
    except AWS_ERRORS as error:
        compute.close()
        if is_missing_queue(error):
            raise AWSBatchException(
                f"Queue {settings.out_queue} does not exist: the run has ended, or "
                "RIOS_AWSBATCH_OUT_QUEUE is not the URL of its queue."
            ) from error
        raise AWSBatchException(
            f"Worker {name} of run {settings.run} cannot work: {sentence_for(error)}"
        ) from error


def _stop_at_sigterm(worker: Worker) -> None:
    def stop(signal_number: int, _frame: FrameType | None) -> None:
        # It raises nothing: an exception might leave a lock locked that the main thread just took.
        worker.stop(f"told to by {signal.Signals(signal_number).name}")

    signal.signal(signal.SIGTERM, stop)


def become(command: list[str]) -> NoReturn:
    """Replace this process by a program.

    Raises:
        AWSBatchException: There is no such program.
    """
    try:
        os.execvp(command[0], command)  # noqa: S606 - the job's command, which needs no shell
    except OSError as error:
        raise AWSBatchException(f"{command[0]} cannot be run: {error.strerror}.") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the console script ``rios-awsbatch-worker``; exit with 0 when told to stop, or idle."""
    parser = argparse.ArgumentParser(
        prog="rios-awsbatch-worker",
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
    with errors_as_sentences("rios-awsbatch-worker"):
        if command:
            become(command)
        work()


if __name__ == "__main__":
    main()
