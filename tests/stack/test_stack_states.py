"""Stacks in states that the embedded AWS never shows: what boto3 would be told is written down here."""

import datetime as dt

import pytest
from botocore.stub import Stubber

from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack.contents import Contents, Resource
from rios_plugin_awsbatch.stack.events import Event, follow, undeleted
from rios_plugin_awsbatch.stack.managed import DESCRIPTION, ManagedStack

ID = "arn:aws:cloudformation:eu-north-1:111122223333:stack/Some/1"
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
QUEUE = "arn:aws:batch:eu-north-1:111122223333:job-queue/SomeJobQueue"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")


@pytest.fixture
def some():
    """A stack, and what CloudFormation is to say of it."""
    stack = ManagedStack("Some", "eu-north-1", poll_seconds=0.0)
    with Stubber(stack._cloudformation) as cloudformation:
        yield stack, cloudformation
        cloudformation.assert_no_pending_responses()


def described(status, **more):
    found = {"StackName": "Some", "StackId": ID, "CreationTime": NOW, "StackStatus": status, **more}
    return {"Stacks": [found]}


def events(*statuses):
    """Return the events of a stack itself, of which AWS names the newest first."""
    listed = [
        {
            "StackId": ID,
            "StackName": "Some",
            "EventId": str(number),
            "LogicalResourceId": "Some",
            "PhysicalResourceId": ID,
            "ResourceType": "AWS::CloudFormation::Stack",
            "ResourceStatus": status,
            "Timestamp": NOW,
        }
        for number, status in enumerate(statuses)
    ]
    return {"StackEvents": listed[::-1]}


# States in which something cannot be done


CREATE = [
    ("CREATE_IN_PROGRESS", "being worked on .CREATE_IN_PROGRESS.; wait until that has ended"),
    ("DELETE_IN_PROGRESS", "being worked on .DELETE_IN_PROGRESS.; wait until that has ended"),
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait until that has ended"),
    ("ROLLBACK_FAILED", "is ROLLBACK_FAILED: only `rios-awsbatch stack delete` helps"),
    ("DELETE_FAILED", "is DELETE_FAILED: only `rios-awsbatch stack delete` helps"),
    ("UPDATE_ROLLBACK_FAILED", "have CloudFormation continue the rollback"),
    ("UPDATE_ROLLBACK_COMPLETE", "There already is a stack Some"),
]


@pytest.mark.parametrize(("status", "said"), CREATE)
def test_create_says_what_to_do_instead(some, status, said):
    """Each state in which a stack cannot be created has its own advice."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description=DESCRIPTION))
    with pytest.raises(StackError, match=said):
        stack.create({}, {})


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"])
def test_create_touches_no_stack_of_somebody_else_s(some, status):
    """Not even what is left of a creation that failed."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description="theirs"))
    with pytest.raises(
        StackError, match="not made from this package's template: give another --stackname"
    ):
        stack.create({}, {})


@pytest.mark.parametrize(("status", "said"), CREATE[:-1])
def test_modify_says_what_to_do_first(some, status, said):
    """The same holds for changes."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description=DESCRIPTION))
    with pytest.raises(StackError, match=said):
        stack.plan({}, {})


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_delete_does_not_empty_what_is_being_changed(some, status):
    """CloudFormation would go on with a stack whose images have gone."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description=DESCRIPTION))
    with pytest.raises(StackError, match=f"being worked on .{status}.; wait"):
        list(stack.delete())


# The end of an operation


def test_a_status_of_before_is_not_the_end(some):
    """Just after an order AWS may not know of it yet: only what has happened since counts."""
    stack, cloudformation = some
    happened = ["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    for status, seen in (("CREATE_COMPLETE", 1), ("CREATE_COMPLETE", 2), ("DELETE_COMPLETE", 3)):
        cloudformation.add_response("describe_stacks", described(status))
        cloudformation.add_response("describe_stack_events", events(*happened[:seen]))
    followed = list(follow(stack._cloudformation, ID, "0", 0.0))
    assert [event.status for event in followed] == happened[1:]


def test_a_stack_that_is_gone_without_a_word_is_gone(some):
    """Nothing may ever happen any more to a stack that is deleted."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described("DELETE_COMPLETE"))
    cloudformation.add_response("describe_stack_events", events("DELETE_COMPLETE"))
    assert list(follow(stack._cloudformation, ID, "0", 0.0)) == []


@pytest.mark.parametrize("end", ["DELETE_COMPLETE", "UPDATE_COMPLETE", "ROLLBACK_COMPLETE"])
def test_each_operation_has_its_own_good_end(some, end):
    """A stack that somebody deletes while it is created has not been created."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(end))
    for _ in range(2):
        cloudformation.add_response("describe_stack_events", events("CREATE_IN_PROGRESS", end))
    with pytest.raises(StackError, match=f"was not created: .* It is {end} now"):
        list(stack._follow(ID, None, "created", "CREATE_COMPLETE"))


def test_what_was_deleted_at_the_second_try_is_not_left():
    """CloudFormation tries three times."""
    statuses = {
        "a": ["DELETE_FAILED", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"],
        "b": ["DELETE_FAILED"],
    }
    seen = [
        Event(NOW, "R", "T", name, status) for name, listed in statuses.items() for status in listed
    ]
    assert [event.name for event in undeleted(seen)] == ["b"]


# Change sets


@pytest.mark.parametrize(
    ("kind", "replacement", "fargate", "replaced"),
    [
        ("AWS::Batch::ComputeEnvironment", "True", False, True),
        ("AWS::Batch::ComputeEnvironment", "Conditional", False, False),
        ("AWS::Batch::ComputeEnvironment", "Conditional", True, True),
        ("AWS::S3::Bucket", "Conditional", False, True),
        ("AWS::S3::Bucket", "False", False, False),
    ],
)
def test_what_may_be_replaced_counts_as_replaced(some, kind, replacement, fargate, replaced):
    """Except for environments on EC2, which the template has updated in place."""
    stack, cloudformation = some
    change = {
        "Action": "Modify",
        "LogicalResourceId": "R",
        "ResourceType": kind,
        "Replacement": replacement,
    }
    for _ in range(2):
        answer = {
            "Status": "CREATE_COMPLETE",
            "Changes": [{"Type": "Resource", "ResourceChange": change}],
        }
        cloudformation.add_response("describe_change_set", answer)
    (planned,) = stack._planned("arn:change-set", fargate=fargate).changes
    assert planned.replaced is replaced


# Job queues


def queue_described(*statuses):
    listed = [
        {
            "jobQueueName": "SomeJobQueue",
            "jobQueueArn": QUEUE,
            "state": "ENABLED",
            "status": status,
            "priority": 1,
            "computeEnvironmentOrder": [],
        }
        for status in statuses
    ]
    return {"jobQueues": listed}


@pytest.fixture
def batch():
    """A stack of one queue; and what Batch is to say of it."""
    contents = Contents("Some", "eu-north-1", 0.0)
    with Stubber(contents._batch) as stub:
        yield contents, stub
        stub.assert_no_pending_responses()


def test_a_queue_is_deleted_only_when_it_is_disabled(batch):
    """Batch takes its time to disable a queue, and deletes none meanwhile."""
    contents, stub = batch
    stub.add_response("describe_job_queues", queue_described("VALID"))
    stub.add_response("update_job_queue", {})
    for _ in range(5):
        stub.add_response("list_jobs", {"jobSummaryList": []})
    for status in ("UPDATING", "UPDATING", "VALID"):
        stub.add_response("describe_job_queues", queue_described(status))
    assert list(contents._end_jobs([QUEUE])) == []


@pytest.mark.parametrize("statuses", [(), ("DELETING",), ("DELETED",)])
def test_a_queue_that_is_gone_is_left_alone(batch, statuses):
    """There is nothing to end on it, and nothing to ask about it."""
    contents, stub = batch
    stub.add_response("describe_job_queues", queue_described(*statuses))
    assert list(contents._end_jobs([QUEUE])) == []
    stub.add_response("describe_job_queues", queue_described(*statuses))
    assert contents.unfinished([Resource("AWS::Batch::JobQueue", QUEUE, "CREATE_COMPLETE")]) == {}


class Silent:
    """A CloudFormation that has taken an order and does nothing about it."""

    def describe_stacks(self, **_):
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        return [{"StackEvents": []}]


def test_an_order_that_is_never_begun_is_not_waited_for_for_ever():
    """The status is still that of before, which must not pass for the end of the order."""
    following = follow(Silent(), "a stack", None, poll_seconds=0.01, patience=0.05)
    with pytest.raises(
        StackError, match=r"does nothing about a stack, which is UPDATE_COMPLETE.*order it again"
    ):
        next(following)
