"""What a run does about its workers, against the embedded AWS's Batch: replaced within reason, and none forgotten."""

import uuid

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import VersionMismatchError, WorkersError
from rios_plugin_awsbatch.run.workforce import Workforce
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import read_outputs, typed_outputs
from rios_plugin_awsbatch.wire.messages import WorkerNotice
from tests.support.helpers import eventually


@pytest.fixture
def sleeping(cloud, request):
    """Return a function that makes the workforce of a job definition whose workers only sleep."""
    name = f"sleeping-{uuid.uuid4().hex}"
    properties = {
        "image": "any",
        "vcpus": 1,
        "memory": 100,
        "command": getattr(request, "param", ["sleep", "600"]),
    }
    cloud.batch.register_job_definition(
        jobDefinitionName=name, type="container", containerProperties=properties
    )
    stack = typed_outputs(read_outputs(load(Settings)), load(Settings, job_definition=name))
    made = []

    def make(wanted, **options):
        options = {
            "replacements": 3,
            "startup_timeout": 600.0,
            "launched": lambda _: None,
            **options,
        }
        made.append(
            Workforce(cloud.batch, stack, "by-hand", {"environment": []}, wanted=wanted, **options)
        )
        made[-1].start()
        return made[-1]

    yield make
    for force in made:
        force.end(0)
    eventually(lambda: not cloud.unfinished_jobs())
    cloud.batch.deregister_job_definition(jobDefinition=f"{name}:1")


def notice(force, event, number=0):
    (job, *_) = force.job_ids
    return WorkerNotice(worker=f"{job}-{number}", event=event)


def test_more_workers_do_not_start_the_startup_time_again(sleeping):
    """Workers that are added while others are ready need not be ready in time: the run goes on."""
    force = sleeping(1, startup_timeout=0.001)
    force.note(notice(force, "ready"))
    force.want(2)
    force.look(2)
    assert len(force.job_ids) == 2


def test_goodbyes_of_earlier_workers_leave_no_later_job_behind(sleeping, cloud):
    """Workers that ended long ago do not count for those of a later job, which are ended with the run."""
    force = sleeping(1)
    force.note(notice(force, "ready"))
    force.note(notice(force, "gone"))
    cloud.batch.terminate_job(jobId=force.job_ids[0], reason="idle")
    eventually(lambda: not cloud.unfinished_jobs())
    force.look(1)
    assert eventually(cloud.unfinished_jobs)
    force.end(0)
    eventually(lambda: not cloud.unfinished_jobs(), "the later job was left behind")


def test_a_failed_worker_is_replaced_while_others_work(sleeping, cloud):
    """A worker whose job failed for good gets a successor, although others are alive."""
    force = sleeping(2)
    force.note(notice(force, "ready"))
    cloud.batch.terminate_job(
        jobId=f"{force.job_ids[0]}:1", reason="Host EC2 (instance i-1) terminated."
    )
    eventually(lambda: force.look(2) or len(force.job_ids) == 2, "nobody took its place")


@pytest.mark.parametrize("sleeping", [["true"]], indirect=True)
def test_workers_that_end_well_but_never_work_are_not_started_for_ever(sleeping):
    """An image whose command ends at once, and with success, is an error after a few attempts, not endless jobs."""
    force = sleeping(1, replacements=2)

    def hopeless():
        try:
            force.look(1)
        except WorkersError as error:
            return str(error)

    assert "none of the last ones was ready" in eventually(hopeless)


def test_a_worker_that_cannot_read_its_tasks_ends_the_run(cloud):
    """An authentic message of another version of the package is an error at once, with what to do; nothing waits."""
    with BatchExecutor(1) as executor:
        assert executor.submit(len, "warm").result(60) == 4
        exchange = executor._lease.run._exchange
        body = '{"kind":"task of tomorrow"}'
        exchange.tasks.send([f"rab1.{exchange.key.run}.{exchange.key.mac(body.encode())}.{body}"])
        with pytest.raises(VersionMismatchError, match="install the same version"):
            executor.submit(len, "late").result(60)
    assert cloud.run_queues() == []
