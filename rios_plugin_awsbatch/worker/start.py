"""The start of a worker: whatever goes wrong before it is ready, main is told if that is possible.

The way of the reason to main: a notice on the results queue, if the worker can send one; else the
last line of its log, where main looks for it (`run.last_words`).
"""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from types import FrameType

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_queue, sentence_for
from rios_plugin_awsbatch.aws.patience import OUTAGE_SECONDS
from rios_plugin_awsbatch.aws.renewal import Renewal
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.jobs.files import importable
from rios_plugin_awsbatch.programs import configure_logging
from rios_plugin_awsbatch.settings import WorkerSettings, load
from rios_plugin_awsbatch.wire.exchange import Exchange, connect
from rios_plugin_awsbatch.wire.messages import RunKey, WorkerNotice

from .answers import DETAIL_CHARACTERS
from .process import ComputeProcess
from .worker import Worker

__all__ = ["work"]


def work() -> None:
    """Work as the environment says.

    Raises:
        AWSBatchException: The worker cannot work; one clear sentence.
    """
    settings = load(WorkerSettings)
    configure_logging(settings.log_level)
    clients, name = Clients(settings.region), _worker_name()
    with contextlib.ExitStack() as cleanup:
        try:
            worker = _ready_worker(settings, clients, name, cleanup)
        except Exception as error:
            _report(settings, clients, name, error)
            raise
        with _explained(settings, name):
            worker.run()


def _worker_name() -> str:
    job = os.environ.get("AWS_BATCH_JOB_ID", f"{socket.gethostname()}-{os.getpid()}")
    return job.replace(":", "-")


def _ready_worker(
    settings: WorkerSettings, clients: Clients, name: str, cleanup: contextlib.ExitStack
) -> Worker:
    cleanup.enter_context(importable(clients, settings.bucket, settings.submission))
    compute = ComputeProcess()  # starts while the clients are made
    cleanup.callback(compute.close)
    with _explained(settings, name):
        worker = Worker(_exchange(settings, clients), settings, name, clients, compute)
        _stop_at_sigterm(worker)
        worker.announce()
    return worker


def _exchange(settings: WorkerSettings, clients: Clients) -> Exchange:
    return connect(
        clients,
        tasks=settings.in_queue,
        results=settings.out_queue,
        bucket=settings.bucket,
        key=RunKey(settings.run, settings.run_key),
        inline_limit=settings.inline_limit,
        # The endpoint of its credentials may be out of order, as anything else may.
        renewal=Renewal(OUTAGE_SECONDS, f"run={settings.run} worker={_worker_name()}"),
    )


@contextlib.contextmanager
def _explained(settings: WorkerSettings, name: str) -> Iterator[None]:
    """Turn an error of boto3's into a sentence."""
    try:
        yield
    except AWS_ERRORS as error:
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


def _report(settings: WorkerSettings, clients: Clients, name: str, error: Exception) -> None:
    """Tell main why this worker does not become ready, unless the reason is that it cannot."""
    known = isinstance(error, AWSBatchException)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    detail = " ".join(text.split())[:DETAIL_CHARACTERS]
    notice = WorkerNotice(worker=name, event="failed", requests=clients.requests, detail=detail)
    with contextlib.suppress(*AWS_ERRORS):
        exchange = _exchange(settings, clients)
        exchange.results.send([exchange.encode(notice)])
