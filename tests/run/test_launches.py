"""Whatever becomes of an answer of AWS's: as many workers as asked, and all of them known."""

import os
import signal
import subprocess
import sys

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.aws.batch import jobs_named
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run import launcher
from rios_plugin_awsbatch.run import sweep as sweeping
from rios_plugin_awsbatch.run.sweep import sweep
from tests.run.support import ScriptedBatch, scripted_force
from tests.support.faults import Faults, Rule
from tests.support.helpers import Cloud, eventually

SCRIPT = """
from rios_plugin_awsbatch import BatchExecutor

with BatchExecutor(2) as pool:
    pool.submit(abs, -1).result()
"""


@pytest.fixture(scope="module")
def faulty():
    """An embedded AWS with faults."""
    with LocalAWS(workers=4, stop_grace=1.0, middleware="tests.support.faults:factory") as aws:
        yield Cloud(aws), Faults(aws.endpoint)


@pytest.fixture
def cloud(faulty):
    with faulty[0].aws.activated():
        yield faulty[0]
        eventually(lambda: not faulty[0].left(), lambda: f"left: {faulty[0].left()}")


@pytest.fixture
def faults(faulty):
    yield faulty[1]
    faulty[1].set()


def all_jobs(cloud):
    return jobs_named(cloud.batch, cloud.job_queue, "rios-*")


@pytest.mark.parametrize("fault", ["lost", "cut", "html", "drop", "slow_down"])
def test_a_job_whose_answer_was_lost_is_submitted_once(cloud, faults, fault):
    """SubmitJob has no token: the job is looked for by its name before it is repeated."""
    before = {job["jobId"] for job in all_jobs(cloud)}
    with BatchExecutor(2) as executor:
        with faults.injected(Rule(fault, "batch", "submitjob", times=1)):
            assert executor.submit(abs, -1).result(60) == 1
        new = [job["jobId"] for job in all_jobs(cloud) if job["jobId"] not in before]
        assert len(new) == 1
        assert eventually(lambda: cloud.record()["jobs"]) == new


def test_a_job_that_was_submitted_twice_all_the_same_is_ended(cloud, faults):
    """What the network repeats, nobody can prevent: the second job is found by its name."""
    before = {job["jobId"] for job in all_jobs(cloud)}
    with (
        faults.injected(Rule("twice", "batch", "submitjob", times=1)),
        BatchExecutor(1) as executor,
    ):
        assert executor.submit(abs, -1).result(60) == 1
        new = [job["jobId"] for job in all_jobs(cloud) if job["jobId"] not in before]
        assert len(new) == 2
        (known,) = cloud.record()["jobs"]

        def others():
            return [job["status"] for job in all_jobs(cloud) if job["jobId"] in {*new} - {known}]

        eventually(lambda: others() == ["FAILED"], others)


def test_a_job_that_is_listed_late_does_not_stay(monkeypatch):
    """If it was not listed when it was looked for, it is ended as soon as it is."""

    class Lossy(ScriptedBatch):
        def submit_job(self, **request):
            answer = super().submit_job(**request)
            if len(self._jobs) == 1:
                raise ConnectionError
            return answer

    monkeypatch.setattr(launcher, "LISTED_SECONDS", 0)
    monkeypatch.setattr(launcher, "is_passing", lambda error: isinstance(error, ConnectionError))
    monkeypatch.setattr(
        launcher.Patience,
        "__init__",
        patient_with(ConnectionError, launcher.Patience.__init__),
    )
    batch = Lossy()
    hidden = batch.paginate
    batch.paginate = lambda **_: [{"jobSummaryList": []}]
    force, _ = scripted_force(batch, 2)
    assert [job.job_id for job in force.jobs] == ["job1"]
    batch.paginate = hidden
    force.look(1)
    assert batch.ended == ["job0"]


def patient_with(kind, init):
    def patient(self, **options):
        init(self, **options, passes=lambda error: isinstance(error, kind))

    return patient


def test_a_queue_that_takes_no_jobs_is_an_error_at_once(cloud):
    """Batch's own words say that the job queue is disabled."""
    cloud.batch.update_job_queue(jobQueue=cloud.job_queue, state="DISABLED")
    try:
        with BatchExecutor(1) as executor, pytest.raises(WorkersError, match="is disabled"):
            executor.submit(abs, -1).result(60)
    finally:
        cloud.batch.update_job_queue(jobQueue=cloud.job_queue, state="ENABLED")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(
    ("service", "operation"),
    [("s3", "PUT"), ("sqs", "CreateQueue"), ("batch", "submitjob")],
)
def test_an_end_in_the_middle_of_a_start_leaves_nothing_that_nobody_knows(  # noqa: PLR0913, PLR0917 - three fixtures and three parameters
    cloud, faults, monkeypatch, service, operation, number
):
    """Ctrl-C or a kill while AWS makes something: main deletes it, or the next sweep."""
    with faults.injected(Rule("held", service, operation, times=1, seconds=2.0)):
        script = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=cloud.aws.adapted(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(faults.busy)
        script.send_signal(number)
        script.wait(60)
        eventually(lambda: not faults.busy())
    if number == signal.SIGKILL:
        monkeypatch.setattr(sweeping, "UNKNOWN_SECONDS", -1)
        assert len(sweep(Clients("ap-southeast-2"), cloud.bucket)) == 1
    assert not cloud.objects()
    assert not cloud.run_queues()
    eventually(lambda: not cloud.unfinished_jobs())


def test_what_might_still_be_made_keeps_the_record(cloud, faults, monkeypatch):
    """A main that was killed a moment ago may have asked for more than AWS shows yet."""
    with faults.injected(Rule("drop", "sqs", "CreateQueue")):
        script = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=cloud.aws.adapted(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: cloud.objects() and any(faults.counts()))
        script.kill()
        script.wait()
    clients = Clients("ap-southeast-2")
    assert len(sweep(clients, cloud.bucket)) == 1
    assert cloud.objects()
    monkeypatch.setattr(sweeping, "UNKNOWN_SECONDS", -1)  # a minute later
    assert len(sweep(clients, cloud.bucket)) == 1
    assert not cloud.objects()
