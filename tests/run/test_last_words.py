"""Workers that die before they are ready: main says why, in their own last words."""

import re

import pytest

from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.local import LocalAWS
from tests.support.blocks import run_with
from tests.support.faults import Faults, Rule
from tests.support.helpers import Cloud
from tests.support.images import Image, defined


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path / "image")


def error_of(cloud, workers=1, environment=None, startup_timeout=120.0, **container):
    """Return the text of the error with which a run on such an image ends."""
    with (
        defined(cloud, environment=environment, **container) as definition,
        run_with(workers, definition, startup_timeout=startup_timeout) as run,
        pytest.raises(WorkersError) as caught,
    ):
        run.submit(abs, (-1,)).result(60)
    text = str(caught.value)
    assert "\n" not in text
    return text


def shell(script):
    return {"command": ["sh", "-c", script]}


@pytest.mark.parametrize("package", ["boto3", "pydantic", "cloudpickle"])
def test_a_package_that_is_broken_in_the_image_is_named(cloud, image, package):
    """The reason is the import's own error, with the command that builds the image again."""
    image.add_module(package, "raise ImportError('its library is missing')")
    text = error_of(cloud, environment=image.environment)
    assert "ImportError: its library is missing" in text
    assert "`rios-awsbatch image build`" in text
    assert re.search(r"rios-awsbatch logs [0-9a-f-]{36}", text)


def test_a_setting_that_the_image_gets_wrong_is_named(cloud):
    """A worker that cannot read its settings cannot send either, but its log has the sentence."""
    text = error_of(cloud, environment={"RIOS_AWSBATCH_SUBMISSION": "nonsense"})
    assert "RIOS_AWSBATCH_SUBMISSION='nonsense' cannot be used" in text


def test_files_that_are_gone_are_told(cloud):
    """The worker sends the reason if it has read its settings, and its log has it too."""
    submission = f"20260101T000000-0badcafe:{'0' * 64}"
    text = error_of(cloud, environment={"RIOS_AWSBATCH_SUBMISSION": submission})
    assert "Cannot fetch the files of submission 20260101T000000-0badcafe" in text


def test_a_compute_process_that_cannot_start_is_told_by_the_worker_itself(cloud, image):
    """The process that computes may find other packages than the worker does."""
    image.add_code("import os, sys\nif '-c' in sys.orig_argv: os._exit(3)")
    text = error_of(cloud, environment=image.environment)
    assert "its compute process left Python with exit code 3 when it started" in text


def test_what_the_container_runtime_says_is_told(cloud):
    """An image for another architecture: the only trace is a line in the log."""
    line = "exec /usr/local/bin/rios-awsbatch-worker: exec format error"
    text = error_of(cloud, **shell(f"echo '{line}' >&2; exit 1"))
    assert line in text
    assert "another architecture" in text


def test_an_entry_point_that_is_not_there_is_told(cloud):
    """Batch's reason, and what the image must have."""
    text = error_of(cloud, command=["no-such-program"])
    assert "CannotStartContainerError" in text
    assert "entry point" in text


def test_a_worker_that_runs_out_of_memory_is_told(cloud):
    """The kernel's signal is all there is, besides what was logged before it."""
    text = error_of(cloud, **shell("echo it loads; kill -9 $$"))
    assert "exit code 137" in text
    assert "if its memory ran out" in text


def test_workers_of_an_array_that_say_the_same_are_told_once(cloud):
    """Of many workers, a few are looked at."""
    text = error_of(cloud, 3, **shell("echo the same; exit 1"))
    assert text.count("the same") == 1
    assert re.search(r"rios-awsbatch logs [0-9a-f-]{36}:[012]`", text)


def test_control_characters_in_a_log_do_not_reach_the_terminal(cloud):
    """A log is text of others: what is not printable is spelt out."""
    text = error_of(cloud, **shell(r"printf '\033[2J\033]0;owned\007end'; exit 1"))
    assert text.isprintable()
    assert r"\x1b[2J\x1b]0;owned\x07end" in text


def test_workers_that_run_and_are_never_ready_are_told_with_what_they_log(cloud):
    """After the startup timeout, the end of a running worker's log is told."""
    text = error_of(cloud, startup_timeout=2.0, **shell("echo it waits for a door; sleep 600"))
    assert "1 RUNNING" in text
    assert "it waits for a door" in text


@pytest.fixture(scope="module")
def faulty():
    """An embedded AWS with faults."""
    with LocalAWS(workers=2, stop_grace=1.0, middleware="tests.support.faults:factory") as aws:
        yield Cloud(aws), Faults(aws.endpoint)


def test_a_worker_that_may_not_send_is_told_by_its_log(faulty):
    """A job's role without sqs:SendMessage: the log has AWS's refusal."""
    cloud, faults = faulty
    denied = Rule("denied", "sqs", "SendMessageBatch", contains="event")
    with cloud.aws.activated(), faults.injected(denied):
        text = error_of(cloud)
    assert "these credentials do not allow that" in text
    assert "role lacks a permission" in text


def test_without_the_permission_to_read_logs_batchs_reason_is_told(faulty):
    """Main does without the last words, as before."""
    cloud, faults = faulty
    with cloud.aws.activated(), faults.injected(Rule("denied", "logs")):
        text = error_of(cloud, **shell("echo nobody reads this; exit 4"))
    assert "exit code 4" in text
    assert "log streams" in text
    assert "nobody reads this" not in text
