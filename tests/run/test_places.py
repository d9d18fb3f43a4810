"""A run that waits for a place waits; one whose workers can never start says so at once."""

import contextlib
import logging

import pytest

from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run.launch import JobState
from rios_plugin_awsbatch.run.queue_watch import QueueState, trouble_of
from rios_plugin_awsbatch.run.roster import Roster
from rios_plugin_awsbatch.run.waiting import Startup, Waiting
from tests.run.support import RUN, is_ready
from tests.support.blocks import Stage, gated_block, run_with, same_blocks
from tests.support.helpers import Cloud, eventually


@pytest.fixture(scope="module")
def narrow():
    """An embedded AWS with one place."""
    with LocalAWS(workers=1, stop_grace=1.0) as aws:
        yield Cloud(aws)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def told(caplog, text):
    return [one.message for one in caplog.records if text in one.message]


def test_a_run_waits_behind_another_one(narrow, stage, caplog):
    """However short its start-up time: that begins when a place is free. The log says why."""
    caplog.set_level(logging.INFO)
    with narrow.aws.activated(), run_with(1) as first:
        held = first.submit(gated_block, (1, stage.folder))
        stage.nth_call(1)
        with run_with(1, startup_timeout=20, env="NAME=other") as second:
            # The test does not wait for so long: of the time, only what is counted is looked at.
            startup = second._workforce._startup
            future = second.submit(gated_block, (2, stage.folder))
            (line, *_) = eventually(lambda: told(caplog, "1 other job has places"))
            assert "1 RUNNABLE" in line
            assert "as long as it takes (RIOS_AWSBATCH_WAIT_FOR_CAPACITY limits that)" in line
            begun = startup._starting
            eventually(lambda: startup._blocked > 4)
            assert startup._starting == begun
            stage.open_gate()
            assert same_blocks([held.result(60)], [1])
            first.close()
            assert same_blocks([future.result(60)], [2])


def test_the_wait_for_a_place_can_be_limited(narrow, stage):
    """The error says which setting did it, and who has the place."""
    with narrow.aws.activated(), run_with(1) as first:
        held = first.submit(gated_block, (1, stage.folder))
        stage.nth_call(1)
        with (
            run_with(1, wait_for_capacity=0, env="NAME=other") as second,
            pytest.raises(WorkersError, match=r"RIOS_AWSBATCH_WAIT_FOR_CAPACITY.*1 other job has"),
        ):
            second.submit(gated_block, (2, stage.folder)).result(60)
        stage.open_gate()
        held.result(60)


def test_a_compute_environment_that_is_disabled_is_an_error_at_once(narrow, stage):
    """No waiting helps; the start-up time is not waited for."""
    (queue,) = narrow.batch.describe_job_queues(jobQueues=[narrow.job_queue])["jobQueues"]
    (order,) = queue["computeEnvironmentOrder"]
    name = order["computeEnvironment"].rpartition("/")[2]
    with narrow.aws.activated(), run_with(1) as first:
        held = first.submit(gated_block, (1, stage.folder))
        stage.nth_call(1)
        with disabled(narrow, name), run_with(1, env="NAME=other") as second:
            future = second.submit(gated_block, (2, stage.folder))
            with pytest.raises(WorkersError, match=f"compute environment {name} is disabled"):
                future.result(60)
        stage.open_gate()
        held.result(60)


@contextlib.contextmanager
def disabled(cloud, name):
    cloud.batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
    try:
        yield
    finally:
        cloud.batch.update_compute_environment(computeEnvironment=name, state="ENABLED")


class Queues:
    """What Batch says of a job queue, and of its compute environments."""

    def __init__(self, *environments, status="VALID"):
        self._environments = environments
        self._status = status

    def describe_job_queues(self, **_):
        order = [{"order": 1, "computeEnvironment": "arn:aws:batch:x:1:compute-environment/e"}]
        queue = {"status": self._status, "computeEnvironmentOrder": order, "statusReason": "odd"}
        return {"jobQueues": [queue] if self._status else []}

    def describe_compute_environments(self, **_):
        return {"computeEnvironments": list(self._environments)}


GOOD = {"computeEnvironmentName": "good", "status": "VALID", "state": "ENABLED"}
BAD = {
    "computeEnvironmentName": "bad",
    "status": "INVALID",
    "state": "ENABLED",
    "statusReason": "CLIENT_ERROR - no such role",
}
OFF = {"computeEnvironmentName": "off", "status": "VALID", "state": "DISABLED"}


@pytest.mark.parametrize(
    ("queues", "trouble"),
    [
        (Queues(GOOD), ""),
        (Queues(BAD, GOOD), ""),
        (Queues(BAD), "compute environment bad is INVALID (CLIENT_ERROR - no such role)"),
        (Queues(OFF), "compute environment off is disabled"),
        (Queues(GOOD, status="INVALID"), "job queue q is INVALID (odd)"),
        (Queues(status=""), "job queue q does not exist any more"),
    ],
)
def test_a_queue_that_can_start_nothing_is_known(queues, trouble):
    """One compute environment that works is enough."""
    assert trouble_of(queues, "q") == trouble


class FixedQueue:
    def __init__(self, taken=0, trouble=""):
        self._state = QueueState(taken, trouble)

    def look(self):
        return self._state


class FixedJob:
    """Workers that stay in a state."""

    def __init__(self, status, reason=None):
        self._state = JobState({status: 2}, (), (reason,) if reason else ())

    def state(self, **_):
        return self._state


@pytest.fixture
def clock(monkeypatch):
    """The time that `Startup` sees, in a list; a test sets it."""
    now = [0.0]
    monkeypatch.setattr("rios_plugin_awsbatch.run.waiting.time.monotonic", lambda: now[0])
    return now


def watched(clock, startup, job, seconds):
    """Look at workers every ten seconds."""
    for _ in range(seconds // 10):
        clock[0] += 10
        startup.look([job])


@pytest.mark.parametrize(
    ("job", "taken"),
    [
        (FixedJob("RUNNABLE"), 3),
        (FixedJob("RUNNABLE", "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"), 0),
    ],
    ids=["behind others", "no machines"],
)
def test_a_wait_for_a_place_does_not_count_as_a_start(clock, job, taken):
    """A night in the queue, and then the whole start-up time."""
    startup = Startup(Roster(RUN), 900, None, FixedQueue(taken))
    watched(clock, startup, job, 36_000)
    assert startup.problem == ""
    watched(clock, startup, FixedJob("STARTING"), 850)
    assert startup.problem == ""
    watched(clock, startup, FixedJob("STARTING"), 100)
    assert "within 900 s (RIOS_AWSBATCH_STARTUP_TIMEOUT)" in startup.problem


def test_workers_that_could_start_and_do_not_are_late(clock):
    """Nobody else has a place, and Batch says nothing: something is wrong that nobody names."""
    startup = Startup(Roster(RUN), 900, None, FixedQueue())
    watched(clock, startup, FixedJob("RUNNABLE"), 920)
    assert "RIOS_AWSBATCH_STARTUP_TIMEOUT" in startup.problem


def test_a_main_that_slept_has_not_waited(clock):
    """Its machine was suspended for a night between two looks."""
    roster = Roster(RUN)
    startup = Startup(roster, 900, None, FixedQueue())
    watched(clock, startup, FixedJob("STARTING"), 30)
    clock[0] += 30_000
    startup.look([FixedJob("STARTING")])
    assert startup.problem == ""
    is_ready(roster)
    watched(clock, startup, FixedJob("RUNNING"), 1000)
    assert startup.problem == ""


@pytest.mark.parametrize(
    ("job", "queue", "words"),
    [
        (
            FixedJob("RUNNABLE", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"),
            FixedQueue(5),
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large",
        ),
        (FixedJob("RUNNABLE"), FixedQueue(0, "compute environment e is INVALID"), "e is INVALID"),
    ],
)
def test_what_waiting_does_not_mend_is_a_problem_at_once(clock, job, queue, words):
    """With Batch's reason, and what to do."""
    startup = Startup(Roster(RUN), 900, None, queue)
    watched(clock, startup, job, 10)
    assert words in startup.problem
    assert "compare vcpus" in startup.waiting.advice or "stack modify" in startup.waiting.advice


def test_own_workers_that_have_places_are_nobody_elses():
    """A run does not wait behind itself."""
    waiting = Waiting(9.0, {"RUNNABLE": 1, "STARTING": 3}, ()).seen_with(QueueState(3))
    assert (waiting.behind, waiting.blocked) == (0, False)
