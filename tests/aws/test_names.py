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
from rios_plugin_awsbatch.errors import StackError


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
    name = queue_name("RIOS-run-", new_run_id(), "tasks")
    assert name.startswith("RIOS-run-")
    assert queue_pattern("RIOS-run-").fullmatch(name)
    other = queue_name("RIOS-run-2-run-", new_run_id(), "tasks")
    assert not queue_pattern("RIOS-run-").fullmatch(other)


def test_the_name_of_a_queue_is_never_another_than_the_policies_allow():
    """It begins with the whole prefix, or it is refused: SQS takes 80 characters."""
    for length in range(1, 129):
        prefix = f"{'S' * length}-run-"
        if length <= 43:
            assert len(queue_name(prefix, new_run_id(), "results")) <= 80
        else:
            with pytest.raises(StackError, match=r"at most 80 characters.*--servicename"):
                queue_name(prefix, new_run_id(), "results")


def test_a_stack_of_another_template_has_queues_of_any_name():
    """Where there is no output with the prefix, the stack's name is shortened."""
    assert len(queue_name(queue_prefix("S" * 128), new_run_id(), "results")) <= 80


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
