"""A worker as a process: what it does, what it refuses, and how it ends."""

import os
import re
import secrets
import signal
import sys
import tempfile
from pathlib import Path

import cloudpickle
import pytest

from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Failure, RunKey, Stop
from rios_plugin_awsbatch.wire.versions import PYTHON
from tests.support.blocks import Stage, gated_block
from tests.support.helpers import eventually, processes_below


def test_an_idle_worker_ends_well(run):
    """A worker without a task for idle_timeout seconds says goodbye, and exits 0."""
    run.start(idle_timeout=1)
    assert run.end() == 0
    gone = run.reply()
    assert (gone.event, gone.detail) == ("gone", "no task for 1 seconds")


def test_a_stop_message_ends_it_well(run):
    """A worker that is told that the run is over does what it holds, and exits 0."""
    run.start()
    run.send(run.task(max, 2, 3), Stop())
    assert run.value() == 3
    assert run.end() == 0
    assert (run.reply().event, run.exchange.tasks.receive(1, wait=0, visibility=1)) == (
        "gone",
        [],
    )


def leave_a_file_and_be_killed_once(mark):
    """Return whether the file that the killed attempt has left is still there."""
    handle, path = tempfile.mkstemp()
    os.close(handle)
    if Path(mark).exists():
        return Path(Path(mark).read_text()).exists()
    Path(mark).write_text(path)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def test_temporary_files_of_a_killed_process_go_with_it(run, tmp_path):
    """A worker lives longer than the processes that compute, and its disk must not fill."""
    run.start()
    run.send(run.task(leave_a_file_and_be_killed_once, str(tmp_path / "mark")))
    assert run.value() is False
    run.send(Stop())
    assert run.end() == 0
    assert not Path((tmp_path / "mark").read_text()).parent.exists()


def test_sigterm_ends_an_idle_worker_well(run):
    """SIGTERM ends an idle worker, and the process that computes, with exit code 0."""
    process = run.start()
    computing = eventually(lambda: processes_below(process.pid))
    process.send_signal(signal.SIGTERM)
    assert run.end() == 0
    assert "SIGTERM" in run.reply().detail
    assert not any(Path(f"/proc/{pid}").exists() for pid in computing)


@pytest.mark.kind("counts attempts")
def test_sigterm_sends_the_task_anew(run, tmp_path):
    """SIGTERM during a task puts the task back at once, as if it had never been received."""
    stage = Stage(tmp_path)
    process = run.start(visibility_timeout=3600)
    run.send(run.task(gated_block, 1, stage.folder))
    stage.nth_call(1)
    process.send_signal(signal.SIGTERM)
    assert run.end() == 0
    (again,) = run.exchange.tasks.receive(10, wait=0, visibility=5)
    assert again.attempts == 1
    assert run.exchange.decode(again.body).name == "x=1 y=2"


def shout(number):
    import os  # noqa: PLC0415 - in the worker
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    print("from print")
    sys.stderr.write("from stderr\n")
    os.write(1, b"from write\n")
    subprocess.run(["echo", "from echo"], check=True)
    return number


def test_one_line_for_each_task_and_never_the_key(run):
    """The log has one line for each task, and what users print, but never the run's key."""
    run.start(log_level="DEBUG")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    run.send(*(run.task(shout, number, number=number, name=f"block {number}") for number in (4, 5)))
    assert sorted([run.value(), run.value()]) == [4, 5]
    run.send(Stop())
    assert run.end() == 0
    log = run.log()
    for number in (4, 5):
        assert (
            len(
                re.findall(
                    rf"run=by-hand task={number} block='block {number}' worker=\S+ .* done", log
                )
            )
            == 1
        )
    assert all(f"from {what}" in log for what in ("print", "stderr", "write", "echo"))
    assert run.secret not in log


class Bomb:
    """An object that leaves a file when it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def test_another_python_is_refused_before_unpickling(run, tmp_path):
    """A task of another Python is refused with a sentence that names both versions."""
    run.start()
    run.send(run.task(Bomb(tmp_path / "exploded"), Bomb(tmp_path / "exploded"), python="2.7"))
    reply = run.reply()
    assert isinstance(reply, Failure)
    assert (reply.reason, reply.error) == ("refused", "VersionMismatchError")
    assert "Main runs Python 2.7" in reply.text
    assert f"runs Python {PYTHON}" in reply.text
    assert not (tmp_path / "exploded").exists()


def test_nothing_that_is_not_authentic_is_unpickled(run, tmp_path):
    """Forged and altered messages and payloads are never unpickled; the next task is done."""
    bomb = tmp_path / "exploded"
    strange = RunKey("by-hand", secrets.token_hex(32))
    forger = Exchange(
        run.exchange.tasks, run.exchange.results, run.exchange.store, strange, 700_000
    )
    good = run.exchange.encode(run.task(max, 2, 3))
    armed = run.task(Bomb(bomb), Bomb(bomb))
    stored = run.task(max, 5, 6, number=9)
    data = payload.dumps(((Bomb(bomb),), {}), "arguments")
    honest = run.exchange.pack(payload.dumps(((5, 6), {}), "arguments"), "tasks/9", 0)
    run.exchange.store.put("tasks/9", data)
    honest = honest.model_copy(
        update={"size": len(data)}
    )  # so that only the MAC can tell that it is not the bomb
    run.start()
    run.send(
        "garbage",
        "rab2.by-hand.",
        cloudpickle.dumps(Bomb(bomb)).hex(),
        forger.encode(armed),
        good[:-1] + " }",
        good.replace("rab2.", "rab7."),
        stored.model_copy(update={"arguments": honest}),
        run.task(max, 2, 3, number=10),
    )
    refused, done = sorted([run.reply(), run.reply()], key=lambda reply: reply.task)
    assert (refused.task, refused.error) == (9, "PayloadError")
    assert "runs/by-hand/tasks/9" in refused.text
    assert done.task == 10
    eventually(lambda: run.log().count("ERROR") == 6, run.log)
    assert "is damaged or forged: its MAC does not fit" in run.log()
    assert not bomb.exists()
