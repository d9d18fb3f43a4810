"""While workers do not start, main's log says where they are, and why."""

import dataclasses
import logging

import pytest

from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.run.launch import JobState
from rios_plugin_awsbatch.run.waiting import Waiting, WaitingLog
from tests.support.blocks import run_with
from tests.support.helpers import UNKIND, eventually
from tests.support.images import defined

RUNNABLE = Waiting(7.0, {"RUNNABLE": 2}, ())


def told(caplog):
    return [record for record in caplog.records if "no worker is ready" in record.message]


def test_jobs_that_stay_runnable_are_told_while_main_waits(caplog):
    """Long before the startup timeout: how many tasks, which state, and what may be wrong."""
    with (
        caplog.at_level(logging.INFO),
        LocalAWS(workers=0, unkind=UNKIND) as aws,
        aws.activated(),
        run_with(3) as run,
    ):
        future = run.submit(abs, (-1,))
        record, *_ = eventually(lambda: told(caplog))
        assert not future.done()
        assert run._workforce.waiting().counts == {"RUNNABLE": 3}
    assert "tasks=1" in record.message
    assert "3 RUNNABLE" in record.message
    assert "compute environment" in record.message


def test_workers_that_run_and_do_not_answer_are_told(cloud, caplog):
    """They are RUNNING; the advice is about the image."""
    with (
        caplog.at_level(logging.INFO),
        defined(cloud, command=["sleep", "600"]) as definition,
        run_with(1, definition) as run,
    ):
        run.submit(abs, (-1,))
        record, *_ = eventually(lambda: told(caplog))
    assert "1 RUNNING" in record.message
    assert "image" in record.message


@pytest.mark.usefixtures("cloud")
def test_a_run_whose_worker_is_ready_waits_for_none():
    """Then the tasks take their time."""
    with run_with(1) as run:
        assert run.submit(abs, (-1,)).result(60) == 1
        assert run._workforce.waiting() is None


def test_states_of_several_jobs_are_added_up():
    """With each of Batch's reasons once."""
    states = [
        JobState({"RUNNABLE": 2, "RUNNING": 0}, (), ("no capacity",)),
        JobState({"RUNNABLE": 1, "STARTING": 1}, (), ("no capacity", "too large")),
    ]
    waiting = Waiting.of(9.0, states)
    assert waiting.counts == {"RUNNABLE": 3, "STARTING": 1}
    assert waiting.reasons == ("no capacity", "too large")
    assert str(waiting) == "3 RUNNABLE, 1 STARTING (no capacity; too large)"


def test_it_is_told_every_half_minute(caplog):
    """The first line comes within seconds, and a long wait is not silent."""
    waiting_log = WaitingLog("r")
    with caplog.at_level(logging.INFO):
        for seconds in range(900):
            waiting_log.tell(dataclasses.replace(RUNNABLE, seconds=float(seconds)), 4)
    assert "after 3 s" in caplog.messages[0]
    assert len(caplog.messages) == 30
    assert "after 870 s" in caplog.messages[-1]


def test_a_long_wait_is_a_warning(caplog):
    """Who has not set up logging hears of it after a minute."""
    for seconds in (7.0, 59.0):
        WaitingLog("r").tell(dataclasses.replace(RUNNABLE, seconds=seconds), 4)
    assert caplog.messages == []
    WaitingLog("r").tell(dataclasses.replace(RUNNABLE, seconds=61.0), 4)
    assert "2 RUNNABLE" in caplog.text


def test_a_reason_of_batchs_is_a_warning_at_once(caplog):
    """It does not go away by waiting."""
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
    WaitingLog("r").tell(dataclasses.replace(RUNNABLE, reasons=(reason,)), 4)
    assert reason in caplog.text


def test_the_next_start_is_told_from_the_beginning(caplog):
    """Workers may have to be started again much later."""
    waiting_log = WaitingLog("r")
    with caplog.at_level(logging.INFO):
        for waiting in (dataclasses.replace(RUNNABLE, seconds=600.0), None, RUNNABLE):
            waiting_log.tell(waiting, 4)
    assert len(caplog.messages) == 2


def test_the_error_at_the_end_has_batchs_reason():
    """The same facts are in the error that ends the run."""
    with (
        LocalAWS(workers=0, unkind=UNKIND) as aws,
        aws.activated(),
        run_with(2, startup_timeout=1) as run,
        pytest.raises(WorkersError, match=r"2 RUNNABLE.*stack status"),
    ):
        run.submit(abs, (-1,)).result(60)
