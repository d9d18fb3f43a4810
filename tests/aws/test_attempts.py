"""Steps that may fail: the error is logged, and the next step is taken."""

import logging

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from rios_plugin_awsbatch.aws.attempts import attempt_all, attempted

MISSING = ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "DeleteMessage")


def test_an_error_is_logged_with_what_was_attempted_and_not_raised(caplog):
    """Who reads it knows which run or submission it was."""
    with attempted("1", "delete its objects"):
        raise BotoCoreError
    with attempted("2", "delete its files", kind="submission"):
        raise BotoCoreError
    assert caplog.messages == [
        "run=1 could not delete its objects: An unspecified error occurred",
        "submission=2 could not delete its files: An unspecified error occurred",
    ]


@pytest.mark.parametrize(("may_be_gone", "level"), [(True, "DEBUG"), (False, "WARNING")])
def test_a_queue_that_may_be_gone_is_nothing_to_tell(caplog, may_be_gone, level):
    """The run has ended meanwhile."""
    caplog.set_level(logging.DEBUG, "rios_plugin_awsbatch.aws.attempts")
    with attempted("1", "hand back a task", queue_may_be_gone=may_be_gone):
        raise MISSING
    assert [record.levelname for record in caplog.records] == [level]


def test_an_interrupt_is_not_held_back():
    """Ctrl-C ends the program."""
    with pytest.raises(KeyboardInterrupt), attempted("1", "delete its objects"):
        raise KeyboardInterrupt


def test_an_interrupt_skips_no_step_of_an_end(caplog):
    """A second Ctrl-C ends the step that it meets; the others are taken, and then it counts."""
    taken = []

    def interrupted():
        taken.append("interrupted")
        raise KeyboardInterrupt

    def failing():
        taken.append("failing")
        raise BotoCoreError

    steps = [("stop", interrupted), ("delete", failing), ("tell", lambda: taken.append("told"))]
    with pytest.raises(KeyboardInterrupt):
        attempt_all("1", steps)
    assert taken == ["interrupted", "failing", "told"]
    assert caplog.messages == ["run=1 could not delete: An unspecified error occurred"]


def test_an_end_says_whether_all_of_it_succeeded():
    """Then nothing is left for the sweep."""
    assert attempt_all("1", [("stop", int), ("delete", int)])
    assert not attempt_all("1", [("delete", lambda: int("x")), ("stop", int)])
