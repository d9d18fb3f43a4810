"""The names of what runs and submissions create."""

import re

import pytest

from rios_plugin_awsbatch.aws.names import (
    RUN_ID,
    archive_key,
    name_of,
    new_run_id,
    queue_name,
    queue_pattern,
    queue_prefix,
    record_key,
    run_prefix,
)


def test_an_id_is_of_its_own():
    """Two of the same second differ."""
    one, other = new_run_id(), new_run_id()
    assert one != other
    assert re.fullmatch(RUN_ID, one)


def test_keys_are_under_the_prefix_of_their_kind():
    """Runs and submissions do not meet in the bucket."""
    assert run_prefix("1") == "runs/1/"
    assert archive_key("1") == "submissions/1/files.tar.gz"
    assert record_key("1") == "submissions/1/record.json"


def test_a_queue_is_known_by_its_stack():
    """That of a stack whose name begins in the same way is not taken for one of this stack's."""
    name = queue_name("RIOS", new_run_id(), "tasks")
    assert name.startswith(queue_prefix("RIOS"))
    assert queue_pattern("RIOS").fullmatch(name)
    assert not queue_pattern("RIOS").fullmatch(queue_name("RIOS-run-2", new_run_id(), "tasks"))


def test_the_name_of_a_queue_of_any_stack_is_short_enough():
    """SQS takes 80 characters."""
    assert len(queue_name("S" * 128, new_run_id(), "results")) <= 80


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name:3",
        "arn:aws:batch:ap-southeast-2:123456789012:job-definition/name:3",
        "arn:aws:batch:ap-southeast-2:123456789012:job-queue/name",
        "https://sqs.ap-southeast-2.amazonaws.com/123456789012/name",
    ],
)
def test_the_name_in_an_arn_or_a_url(text):
    """It is the last part, without a revision."""
    assert name_of(text) == "name"
