"""What a run does about its workers: it replaces them within reason, and forgets none."""

import uuid

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import VersionMismatchError, WorkersError
from rios_plugin_awsbatch.run.inventory import Inventory
from rios_plugin_awsbatch.run.roster import Roster
from rios_plugin_awsbatch.run.workforce import Workforce
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import RUNS_NEED, read_stack
from rios_plugin_awsbatch.wire.messages import WIRE_VERSION, WorkerNotice
from rios_plugin_awsbatch.wire.store import PayloadStore
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
    settings = load(Settings, job_definition=name)
    stack = read_stack(Clients(settings.region), settings, *RUNS_NEED)
    inventory = Inventory(PayloadStore(cloud.s3, cloud.bucket, "by-hand/"))
    made = []

    def make(wanted, **options):
        options = {"replacements": 3, "startup_timeout": 600.0, **options}
        roster = Roster("by-hand")
        force = Workforce(
            cloud.batch,
            stack,
            "by-hand",
            {"environment": []},
            roster,
            inventory,
            wanted=wanted,
            **options,
        )
        made.append(force)
        force.start()
        return force, roster

    yield make
    for force in made:
        force.end(0)
    cloud.s3.delete_object(Bucket=cloud.bucket, Key="by-hand/run.json")
    eventually(lambda: not cloud.unfinished_jobs())
    cloud.batch.deregister_job_definition(jobDefinition=f"{name}:1")


def notice(force, event, number=0):
    (job, *_) = force.jobs
    return WorkerNotice(worker=f"{job.job_id}-{number}", event=event)


def test_more_workers_do_not_start_the_startup_time_again(sleeping):
    """Workers that are added while others are ready need not be ready in time: the run goes on."""
    force, roster = sleeping(1, startup_timeout=0.001)
    roster.note(notice(force, "ready"))
    force.want(2)
    assert force.missing == 1
    force.look(2)
    assert len(force.jobs) == 2
    assert force.missing == 0


def test_goodbyes_of_earlier_workers_leave_no_later_job_behind(sleeping, cloud):
    """Workers that ended long ago do not count for a later job, which ends with the run."""
    force, roster = sleeping(1)
    roster.note(notice(force, "ready"))
    roster.note(notice(force, "gone"))
    cloud.batch.terminate_job(jobId=force.jobs[0].job_id, reason="idle")
    eventually(lambda: not cloud.unfinished_jobs())
    force.look(1)
    assert eventually(cloud.unfinished_jobs)
    force.end(0)
    eventually(lambda: not cloud.unfinished_jobs(), "the later job was left behind")


def test_a_failed_worker_is_replaced_while_others_work(sleeping, cloud):
    """A worker whose job failed for good gets a successor, although others are alive."""
    force, roster = sleeping(2)
    roster.note(notice(force, "ready"))
    cloud.batch.terminate_job(
        jobId=f"{force.jobs[0].job_id}:1", reason="Host EC2 (instance i-1) terminated."
    )
    eventually(lambda: force.look(2) or len(force.jobs) == 2, "no worker took its place")


@pytest.mark.parametrize("sleeping", [["true"]], indirect=True)
def test_workers_that_end_well_but_never_work_are_not_started_for_ever(sleeping):
    """An image whose command ends at once, with success, is an error after a few attempts."""
    force, _ = sleeping(1, replacements=2)

    def hopeless():
        try:
            force.look(1)
        except WorkersError as error:
            return str(error)

    assert "none of the last ones was ready" in eventually(hopeless)


def test_a_worker_that_cannot_read_its_tasks_ends_the_run(cloud):
    """An authentic message of another version of the package ends the run, and says what to do."""
    with BatchExecutor(1) as executor:
        assert executor.submit(len, "warm").result(60) == 4
        exchange = executor._lease.result().run._exchange
        body = '{"kind":"task of tomorrow"}'
        exchange.tasks.send(
            [f"{WIRE_VERSION}.{exchange.key.run}.{exchange.key.mac(body.encode())}.{body}"]
        )
        with pytest.raises(VersionMismatchError, match="Install the same version"):
            executor.submit(len, "late").result(60)
    assert cloud.run_queues() == []
