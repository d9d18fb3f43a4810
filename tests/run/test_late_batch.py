"""Batch tells of new jobs, sums and reasons a while after the fact; a run has patience with it."""

import pytest

from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.run import launch
from rios_plugin_awsbatch.run.launch import WorkerJob
from tests.run.support import CRASH, ScriptedBatch, is_ready, scripted_force


@pytest.fixture
def batch():
    return ScriptedBatch()


@pytest.mark.parametrize("wanted", [1, 4])
def test_a_job_that_batch_does_not_know_yet_is_waited_for(batch, wanted):
    """DescribeJobs may answer nothing right after SubmitJob: that is no failed worker."""
    batch.known = False
    force, _ = scripted_force(batch, wanted)
    for _ in range(3):
        force.look(10)
    assert force.waiting().counts == {"SUBMITTED": wanted}
    assert len(force.jobs) == 1


def test_a_job_that_batch_does_not_know_for_long_has_failed(batch, monkeypatch):
    """Then it has forgotten it, or never had it."""
    monkeypatch.setattr(launch, "UNKNOWN_SECONDS", -1)
    batch.known = False
    force, _ = scripted_force(batch, 2)
    with pytest.raises(WorkersError, match="Batch does not know job job0"):
        force.look(10)


def test_a_job_is_as_it_was_while_batch_does_not_know_it(batch):
    """One empty answer in between is no end of workers that were running."""
    force, _ = scripted_force(batch, 3)
    force.look(10)
    batch.known = False
    force.look(10)
    assert force.waiting().counts == {"RUNNING": 3}


@pytest.mark.parametrize(
    ("status", "summary", "counts"),
    [
        ("SUBMITTED", {}, {"SUBMITTED": 4}),
        ("PENDING", {"RUNNABLE": 0}, {"PENDING": 4}),
        ("PENDING", {"RUNNABLE": 1}, {"RUNNABLE": 1, "PENDING": 3}),
        ("PENDING", {"RUNNING": 4}, {"RUNNING": 4}),
        ("SUCCEEDED", {"RUNNING": 3, "SUCCEEDED": 1}, {"SUCCEEDED": 4}),
        ("FAILED", {"RUNNING": 1, "SUCCEEDED": 2}, {"SUCCEEDED": 2, "FAILED": 2}),
    ],
)
def test_the_sums_of_an_array_may_be_late(status, summary, counts):
    """Each worker is counted once, and none is taken to run when its array has ended."""

    class Late:
        def describe_jobs(self, jobs):
            properties = {"size": 4, "statusSummary": summary}
            return {"jobs": [{"jobId": jobs[0], "status": status, "arrayProperties": properties}]}

        def get_paginator(self, _):
            return self

        def paginate(self, **_):
            return [{"jobSummaryList": []}]

    assert WorkerJob(Late(), "j", 4).state().counts == counts


def test_why_workers_failed_is_waited_for(batch):
    """Batch counts a worker that failed before it lists it; the error has its reason."""
    force, roster = scripted_force(batch, 2, replacements=1)
    is_ready(roster)
    batch.set_all("job0", "FAILED", CRASH)
    force.look(2)  # replaced once
    batch.listed = False
    batch.set_all("job1", "FAILED", CRASH)
    force.look(2)
    batch.listed = True
    with pytest.raises(WorkersError, match=CRASH):
        force.look(2)


def test_a_job_that_batch_does_not_know_yet_is_ended_when_it_does(batch, monkeypatch):
    """TerminateJob has no effect on it before; if it stays unknown, the record stays, too."""
    monkeypatch.setattr(launch, "DESCRIBE_PAUSE", 0)
    force, _ = scripted_force(batch, 2)
    batch.known = False
    monkeypatch.setattr(launch, "DESCRIBED_SECONDS", 0)
    force.end(0)
    assert force._inventory.kept
    batch.known = True
    force, _ = scripted_force(batch, 2)
    force.end(0)
    assert not force._inventory.kept
    assert batch.ended.count("job1") == 2
