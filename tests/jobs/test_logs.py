"""`rios-awsbatch logs` and following a job, with real jobs."""

import os
import signal

import pytest

from tests.jobs.support import BUSY, CALLS_WORKERS, follow, job, run, running, start, submit
from tests.support.helpers import eventually


def test_ctrl_c_while_following_leaves_the_job(stack, script):
    """Without a terminal, nobody is asked: the job goes on, and how to see or end it is said."""
    ended = submit(script(BUSY))
    running(ended.job, "busy")
    watching = start("rios-awsbatch", "logs", "--follow", ended.job)
    line = eventually(lambda: (text := watching.stdout.readline()) and "busy" in text and text)
    assert line == "busy\n"
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert (
        f"Job {ended.job} goes on. rios-awsbatch logs --follow {ended.job} shows its log again"
        in err
    )
    assert job(stack, ended.job)["status"] == "RUNNING"
    run("rios-awsbatch", "cancel", ended.job)
    eventually(lambda: not stack.left())


@pytest.mark.parametrize(("answer", "sentence"), [(b"y\n", "is being ended."), (b"\n", "goes on.")])
def test_ctrl_c_at_a_terminal_asks_about_the_job(stack, script, answer, sentence):
    """Whoever follows it decides whether it ends as well; it goes on if nothing is said."""
    ended = submit(script(BUSY))
    running(ended.job, "busy")
    keyboard, terminal = os.openpty()
    with os.fdopen(keyboard, "wb", buffering=0) as keys, os.fdopen(terminal, "rb") as stdin:
        watching = start("rios-awsbatch", "logs", "--follow", ended.job, stdin=stdin)
        eventually(lambda: "busy" in watching.stdout.readline())
        keys.write(answer)
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert f"End job {ended.job} as well? [y/N]" in err
    assert f"Job {ended.job} {sentence}" in err
    run("rios-awsbatch", "cancel", ended.job)
    eventually(lambda: not stack.left())


@pytest.mark.usefixtures("stack")
def test_workers_of_an_array_have_logs_of_their_own(script):
    """The log of an array is no log: its workers' are named, and can be shown."""
    follow(script(CALLS_WORKERS))
    lines = run("rios-awsbatch", "jobs").out.splitlines()
    array = next(line.split()[0] for line in lines if " 2 workers " in line)
    ended = run("rios-awsbatch", "logs", array)
    assert ended.code == 1
    assert f"{array}:0 to {array}:1" in ended.err
    # The run may be over before the other one is ready.
    logs = [run("rios-awsbatch", "logs", f"{array}:{number}").out for number in (0, 1)]
    assert any("is ready" in log for log in logs)
