"""Workers that never come, or go for good, end in an error that says what to do."""

import os
import signal

import pytest

from rios_plugin_awsbatch.errors import AWSBatchException, WorkersError
from rios_plugin_awsbatch.local import LocalAWS
from tests.support.blocks import Stage, gated_block, noted_block, run_with, same_blocks
from tests.support.helpers import UNKIND, Cloud, eventually
from tests.support.images import defined


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def error_of(opened, function, *arguments):
    with opened as run, pytest.raises(WorkersError) as caught:
        run.submit(function, arguments).result(60)
    return str(caught.value)


def test_an_image_that_cannot_be_pulled_is_named(cloud):
    """Workers whose image is missing are an error with Batch's reason and the advice to push it."""
    with defined(cloud, image="missing/rios:1") as definition:
        text = error_of(run_with(2, definition), noted_block, 1, "/")
    assert "CannotPullContainerError: there is no image missing/rios:1" in text
    assert "push it" in text


def test_a_worker_that_ends_at_once_is_told_with_its_exit_code(cloud):
    """Workers that exit with 1 before they are ready are an error with that code."""
    with defined(cloud, command=["sh", "-c", "exit 1"]) as definition:
        text = error_of(run_with(1, definition), noted_block, 1, "/")
    assert "exit code 1" in text
    assert "log" in text


def test_a_missing_job_definition_is_named(cloud):
    """A job definition that does not exist is an error that names it and the stack."""
    with (
        pytest.raises(WorkersError, match=r"no-such-definition.*RIOS"),
        run_with(1, "no-such-definition"),
    ):
        pass
    assert not cloud.unfinished_jobs()


def test_workers_that_start_and_are_never_ready_end_the_run(cloud):
    """Workers that run and never reach the queues are an error within startup_timeout."""
    with defined(cloud, command=["sleep", "600"]) as definition:
        text = error_of(run_with(1, definition, startup_timeout=2), noted_block, 1, "/")
    assert "RIOS_AWSBATCH_STARTUP_TIMEOUT" in text
    assert "1 RUNNING" in text
    assert "log streams" in text


def test_jobs_that_stay_runnable_end_the_run():
    """Jobs that Batch never starts are an error that says what keeps jobs RUNNABLE."""
    with LocalAWS(workers=0, unkind=UNKIND) as aws, aws.activated():
        text = error_of(run_with(3, startup_timeout=2), noted_block, 1, "/")
        assert not Cloud(aws).left()
    assert "3 RUNNABLE" in text
    assert "compute environment" in text
    assert "RIOS_AWSBATCH_STARTUP_TIMEOUT" in text


def test_after_an_error_a_new_run_can_begin(cloud, stage):
    """A run that has failed takes no more tasks and repeats its reason; the next one works."""
    with defined(cloud, command=["false"]) as definition, run_with(1, definition) as failed:
        with pytest.raises(WorkersError):
            failed.submit(noted_block, (1, stage.folder)).result(60)
        with pytest.raises(AWSBatchException, match="exit code 1"):
            failed.submit(noted_block, (1, stage.folder))
    with run_with(1) as run:
        assert same_blocks([run.submit(noted_block, (2, stage.folder)).result(60)], [2])


def test_all_workers_dying_again_and_again_is_an_error(cloud, stage):
    """When all workers die while tasks wait, others are started, but not for ever."""
    with run_with(1, max_attempts=1, visibility_timeout=3600) as run:
        futures = [run.submit(gated_block, (number, stage.folder)) for number in range(3)]
        for count in (1, 2):
            _, _, worker = stage.nth_call(count)
            os.killpg(os.getpgid(worker), signal.SIGKILL)
        with pytest.raises(WorkersError, match=r"All workers of run .* have ended.*exit code 137"):
            futures[2].result(60)
        assert all(isinstance(future.exception(60), AWSBatchException) for future in futures)
    eventually(lambda: not cloud.unfinished_jobs())
