"""A reclaimed machine is no crash: a run on Spot ends only if it makes no progress."""

import pytest

from rios_plugin_awsbatch.aws.batch import advice_for
from rios_plugin_awsbatch.errors import WorkersError
from tests.run.support import CRASH, HOST_LOST, ScriptedBatch, is_ready, scripted_force

SPOT_TASK = "Your Spot Task was interrupted."


@pytest.fixture
def batch():
    return ScriptedBatch()


@pytest.mark.parametrize("reason", [HOST_LOST, SPOT_TASK])
def test_a_long_run_outlives_any_number_of_reclaims(batch, reason):
    """Each hour one worker of eight loses its machine; as tasks are done, each is replaced."""
    force, roster = scripted_force(batch, 8)
    is_ready(roster)
    for hour in range(50):
        roster.note_reply("w", 0)
        job = force.jobs[-1] if hour else force.jobs[0]
        batch.set(job.job_id, 0, "FAILED", reason)
        force.look(100)
        assert sum(one.state().unfinished for one in force.jobs) == 8


def test_all_workers_may_be_reclaimed_at_once(batch):
    """Again and again, as long as a task is done between."""
    force, roster = scripted_force(batch, 4)
    for _ in range(10):
        is_ready(roster)
        roster.note_reply("w", 0)
        (job,) = force.jobs
        batch.set_all(job.job_id, "FAILED", HOST_LOST)
        force.look(100)
        (job,) = force.jobs
        assert job.state().unfinished == 4


def test_reclaims_without_progress_end_the_run(batch):
    """The error says what is known: the machines were lost, not that memory was short."""
    force, roster = scripted_force(batch, 2, replacements=2)
    is_ready(roster)
    for _ in range(2):
        batch.set_all(force.jobs[0].job_id, "FAILED", HOST_LOST)
        force.look(100)
    batch.set_all(force.jobs[0].job_id, "FAILED", HOST_LOST)
    with pytest.raises(WorkersError) as caught:
        force.look(100)
    assert HOST_LOST in str(caught.value)
    assert "machine was taken away" in str(caught.value)
    assert "memory" not in str(caught.value)
    assert len(batch._jobs) == 3


def test_a_machine_that_is_lost_before_its_worker_is_ready_is_replaced(batch):
    """A crash then is the image's fault, and ends the run; a reclaim is nobody's."""
    force, _ = scripted_force(batch, 2)
    batch.set_all(force.jobs[0].job_id, "FAILED", HOST_LOST)
    force.look(10)
    assert force.jobs[0].job_id == "job1"
    batch.set_all("job1", "FAILED", CRASH)
    with pytest.raises(WorkersError):
        force.look(10)


def test_crashes_use_up_the_replacements_whatever_is_done_between(batch):
    """They would go on for ever; reclaims among them are replaced all the same."""
    force, roster = scripted_force(batch, 4, replacements=2)
    is_ready(roster)
    (first,) = force.jobs
    for number in range(3):
        roster.note_reply("w", 0)
        batch.set(first.job_id, number, "FAILED", CRASH)
        force.look(100)
    assert sum(job.size for job in force.jobs) == 4 + 2
    batch.set(first.job_id, 3, "FAILED", HOST_LOST)
    force.look(100)
    assert sum(job.state().unfinished for job in force.jobs) == 3


@pytest.mark.parametrize(
    ("reason", "said", "not_said"),
    [
        (
            "OutOfMemoryError: Container killed due to memory usage; exit code 137",
            "The container ran out of memory",
            "lost",
        ),
        (f"{HOST_LOST}; exit code 137", "machine was taken away", "memory"),
        ("Essential container in task exited; exit code 137", "Batch does not say why", "image"),
    ],
)
def test_out_of_memory_is_said_where_it_is_known(reason, said, not_said):
    """Exit code 137 alone is a container that was killed."""
    assert said in advice_for(reason)
    assert not_said not in advice_for(reason)
