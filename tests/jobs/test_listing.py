"""`rios-awsbatch jobs` and `cancel`, with real jobs."""

import re

import pytest

from tests.jobs.support import BUSY, CALLS_WORKERS, JOB, follow, job, run, running, submit
from tests.support.helpers import eventually


@pytest.mark.usefixtures("stack")
def test_jobs_lists_main_scripts_and_workers(script):
    """Each job of the stack is a line with its id, what it is, and its status.

    A worker that was not ready before all was done is ended, and its array has failed then.
    """
    ended = follow(script(CALLS_WORKERS, "two_workers.py"))
    lines = run("rios-awsbatch", "jobs").out.splitlines()
    assert lines[0].split() == ["JOB", "WHAT", "NAME", "STATUS", "SUBMITTED", "TIME", "REASON"]
    (main,) = [line for line in lines if ended.job in line]
    assert re.search(rf"{ended.job} +main +two_workers +SUCCEEDED ", main)
    array = re.compile(rf"{JOB} +2 workers +rios-\S+ +(SUCCEEDED|FAILED) ")
    assert any(array.match(line) for line in lines)


def test_workers_at_work_are_listed_as_running(stack, script):
    """Batch calls an array PENDING until all of its jobs have ended; what these do is shown."""
    ended = submit(script(CALLS_WORKERS.replace("return", "import time; time.sleep(60); return")))
    eventually(
        lambda: re.search(r" 2 workers +rios-\S+ +2 RUNNING ", run("rios-awsbatch", "jobs").out)
    )
    run("rios-awsbatch", "cancel", ended.job)
    eventually(lambda: not stack.left())


@pytest.mark.usefixtures("stack")
def test_a_job_can_be_named(script):
    """By its name, if it is the only one; an unclear name, or none, is one sentence."""
    first = follow(script("print('the only one')", "lonely.py"))
    assert "the only one\n" in run("rios-awsbatch", "logs", "lonely").out
    second = follow(script("", "lonely.py"))
    unclear = run("rios-awsbatch", "logs", "lonely")
    assert unclear.code == 1
    assert first.job in unclear.err
    assert second.job in unclear.err
    nobody = run("rios-awsbatch", "cancel", "nobody", first.job)
    assert (nobody.code, nobody.out) == (1, f"Job {first.job} has already ended.\n")
    assert "There is no job nobody on the queues of stack RIOS in ap-southeast-2" in nobody.err


def test_cancel_ends_main_and_its_run_in_order(stack, script):
    """The script gets SIGTERM and ends its run and its workers; the submission is swept."""
    ended = submit(script(BUSY))
    running(ended.job, "busy")
    assert stack.run_queues()
    cancelled = run("rios-awsbatch", "cancel", ended.job[:8])
    assert (cancelled.code, cancelled.out) == (0, f"Job {ended.job} is being ended.\n")
    eventually(lambda: job(stack, ended.job)["status"] == "FAILED")
    eventually(lambda: not stack.left(), lambda: f"left: {stack.left()}")
    assert stack.objects("submissions/") == []
    assert job(stack, ended.job)["statusReason"] == "Cancelled by rios-awsbatch cancel"
    again = run("rios-awsbatch", "cancel", ended.job)
    assert (again.code, again.out) == (0, f"Job {ended.job} has already ended.\n")
