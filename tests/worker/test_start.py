"""A worker before it is ready: it can be told to stop, and says what keeps it from starting."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess

import pytest

from rios_plugin_awsbatch.wire.messages import WorkerNotice
from rios_plugin_awsbatch.wire.versions import find_versions
from tests.support.helpers import eventually, processes_below
from tests.support.images import Image
from tests.worker.support import WORKER

SUBMISSION = f"20260101T000000-0badcafe:{'0' * 64}"
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
CAN_BE_PROCESS_1 = (
    shutil.which("unshare") is not None
    and subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
)


@contextlib.contextmanager
def silent_server():
    """Take connections and never answer; yield the URL and what connections wait."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "before",
    [
        [],
        pytest.param(
            NAMESPACE,
            marks=pytest.mark.skipif(
                not CAN_BE_PROCESS_1, reason="no namespace of process ids can be made here"
            ),
        ),
    ],
    ids=["a process", "process 1"],
)
def test_sigterm_ends_a_worker_that_waits_for_its_files(run, before):
    """The bucket does not answer: the worker ends well, with one line, long before it would."""
    with silent_server() as (server, url):
        variables = {"AWS_ENDPOINT_URL": url, "RIOS_AWSBATCH_SUBMISSION": SUBMISSION}
        process = subprocess.Popen(
            [*before, WORKER],
            env=run.environment | variables,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = server.accept()
        worker = min(processes_below(process.pid)) if before else process.pid
        os.kill(worker, signal.SIGTERM)
        # A request would wait for a minute, eight times.
        _, said = process.communicate(timeout=30)
        connection.close()
    assert process.returncode == 0
    assert said == "rios-awsbatch-worker: told to stop by SIGTERM, before it was ready\n"


def test_a_ready_worker_tells_what_its_compute_process_would_import(run, tmp_path):
    """The notice has versions as data, and as text."""
    image = Image(tmp_path / "image").add_distribution("numpy", "97.3.0")
    run.environment |= image.environment
    notice = run.start_and_hear()
    assert notice.event == "ready"
    assert notice.versions.numpy == "97.3.0"
    assert notice.versions.python == find_versions().python
    assert notice.detail == str(notice.versions)


def test_a_worker_that_cannot_fetch_its_files_tells_main(run):
    """It has its settings, so it sends the sentence that its log ends with."""
    notice = run.start_and_hear(submission=SUBMISSION)
    assert isinstance(notice, WorkerNotice)
    assert notice.event == "failed"
    assert run.end() == 1
    assert run.log().splitlines()[-1] == f"rios-awsbatch-worker: {notice.detail}"


def test_an_error_that_nobody_foresaw_is_told_as_well(run, tmp_path):
    """A bug at the start: main gets its type and text, the log its traceback."""
    image = Image(tmp_path / "image").add_code(
        "import rios_plugin_awsbatch.jobs.files as files\n"
        "def importable(*_): raise KeyError('surprise')\n"
        "files.importable = importable"
    )
    run.environment |= image.environment
    notice = run.start_and_hear()
    assert (notice.event, notice.detail) == ("failed", "KeyError: 'surprise'")
    assert run.end() == 1
    assert "Traceback" in run.log()


def test_sigterm_while_the_compute_process_starts_ends_the_worker_well(run, tmp_path):
    """It says goodbye, without ever having been ready."""
    image = Image(tmp_path / "image").add_code(
        "import sys, time\nif '-c' in sys.orig_argv: time.sleep(600)"
    )
    run.environment |= image.environment
    process = run.launch()
    eventually(lambda: processes_below(process.pid))
    process.send_signal(signal.SIGTERM)
    assert run.end() == 0
