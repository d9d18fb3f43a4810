"""Steps that may fail: the error is logged, and the next step is taken."""

import logging

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from rios_plugin_awsbatch.aws.attempts import attempted

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
