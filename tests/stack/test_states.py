"""Stacks in states that the embedded AWS never shows; boto3 gets its answers from stubs."""

import datetime as dt

import pytest
from botocore.stub import Stubber

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack.create import create_stack
from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.events import Event, first_cause, follow, undeleted
from rios_plugin_awsbatch.stack.jobs import end_jobs, unfinished_jobs
from rios_plugin_awsbatch.stack.managed import ManagedStack
from rios_plugin_awsbatch.stack.modify import plan_change
from rios_plugin_awsbatch.stack.plan import read_changes
from rios_plugin_awsbatch.stack.records import JOB_QUEUE, Resource
from rios_plugin_awsbatch.stack.template import DESCRIPTION
from tests.support.helpers import instrument

ID = "arn:aws:cloudformation:eu-north-1:111122223333:stack/Some/1"
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
QUEUE = "arn:aws:batch:eu-north-1:111122223333:job-queue/SomeJobQueue"
RESOURCES = [Resource(JOB_QUEUE, QUEUE, "CREATE_COMPLETE")]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")


@pytest.fixture
def some():
    """A stack, and what CloudFormation answers about it."""
    stack = ManagedStack(Clients("eu-north-1"), "Some", poll_seconds=0.0)
    with Stubber(stack.cloudformation) as cloudformation:
        yield stack, cloudformation
        cloudformation.assert_no_pending_responses()


def described(status, **more):
    found = {"StackName": "Some", "StackId": ID, "CreationTime": NOW, "StackStatus": status, **more}
    return {"Stacks": [found]}


def events(*statuses):
    """Return the events of a stack itself, as AWS lists them: the newest first."""
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
    ("CREATE_IN_PROGRESS", "working on stack Some in eu-north-1 .CREATE_IN_PROGRESS.; wait"),
    ("DELETE_IN_PROGRESS", "working on stack Some in eu-north-1 .DELETE_IN_PROGRESS.; wait"),
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait until it is done"),
    ("ROLLBACK_FAILED", "is ROLLBACK_FAILED: only `rios-awsbatch stack delete` helps"),
    ("DELETE_FAILED", "is DELETE_FAILED: only `rios-awsbatch stack delete` helps"),
    ("UPDATE_ROLLBACK_FAILED", "have CloudFormation continue the rollback"),
    ("UPDATE_ROLLBACK_COMPLETE", "There already is a stack Some"),
]


@pytest.mark.parametrize(("status", "told"), CREATE)
def test_create_says_what_to_do_instead(some, status, told):
    """Each state in which a stack cannot be created has its own advice."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description=DESCRIPTION))
    with pytest.raises(StackError, match=told):
        create_stack(stack, {}, {})


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"])
def test_create_leaves_stacks_of_others_alone(some, status):
    """Even a stack whose creation failed is theirs."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description="theirs"))
    with pytest.raises(
        StackError, match="not made from this package's template: give another --stackname"
    ):
        create_stack(stack, {}, {})


@pytest.mark.parametrize(("status", "told"), CREATE[:-1])
def test_modify_says_what_to_do_first(some, status, told):
    """Each state in which a stack cannot be changed has the same advice."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description=DESCRIPTION))
    with pytest.raises(StackError, match=told):
        plan_change(stack, {}, {})


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_delete_does_not_empty_what_is_being_changed(some, status):
    """CloudFormation would go on with a stack whose images are gone."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(status, Description=DESCRIPTION))
    with pytest.raises(StackError, match=f"working on .*{status}.; wait"):
        list(delete_stack(stack))


# The end of an operation


def test_a_stale_status_is_not_the_end(some):
    """Right after a request the status may still be the old one: only new events count."""
    stack, cloudformation = some
    happened = ["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    for status, seen in (("CREATE_COMPLETE", 1), ("CREATE_COMPLETE", 2), ("DELETE_COMPLETE", 3)):
        cloudformation.add_response("describe_stacks", described(status))
        cloudformation.add_response("describe_stack_events", events(*happened[:seen]))
    followed = list(follow(stack.cloudformation, ID, "0", 0.0))
    assert [event.status for event in followed] == happened[1:]


def test_a_deleted_stack_needs_no_further_event(some):
    """DELETE_COMPLETE is never stale, so the status alone is enough."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described("DELETE_COMPLETE"))
    cloudformation.add_response("describe_stack_events", events("DELETE_COMPLETE"))
    assert list(follow(stack.cloudformation, ID, "0", 0.0)) == []


@pytest.mark.parametrize("end", ["DELETE_COMPLETE", "UPDATE_COMPLETE", "ROLLBACK_COMPLETE"])
def test_each_operation_succeeds_with_its_own_status(some, end):
    """A stack that somebody deletes while it is being created was not created."""
    stack, cloudformation = some
    cloudformation.add_response("describe_stacks", described(end))
    for _ in range(2):
        cloudformation.add_response("describe_stack_events", events("CREATE_IN_PROGRESS", end))
    with pytest.raises(StackError, match=f"was not created: .* It is {end} now"):
        list(stack.follow(ID, None, "created", "CREATE_COMPLETE"))


def test_what_was_deleted_at_the_second_attempt_is_not_left():
    """CloudFormation tries three times, so only the last failure counts."""
    statuses = {
        "a": ["DELETE_FAILED", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"],
        "b": ["DELETE_FAILED"],
    }
    seen = [
        Event(NOW, "R", "T", name, status) for name, listed in statuses.items() for status in listed
    ]
    assert [event.name for event in undeleted(seen)] == ["b"]


def test_a_cancellation_is_no_cause():
    """CloudFormation cancels what is in progress when something fails, and calls that a failure."""
    reasons = {"A": "Resource creation cancelled", "B": "It is full.", "C": "It is empty."}
    failed = [
        Event(NOW, name, "T", name, "CREATE_FAILED", reason) for name, reason in reasons.items()
    ]
    assert first_cause(failed) == "B (T): It is full."
    assert first_cause([]) == ""


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
    """Environments on EC2 are the exception: the template has them updated in place."""
    stack, cloudformation = some
    change = {
        "Action": "Modify",
        "LogicalResourceId": "R",
        "ResourceType": kind,
        "Replacement": replacement,
    }
    answer = {"Changes": [{"Type": "Resource", "ResourceChange": change}]}
    cloudformation.add_response("describe_change_set", answer)
    (planned,) = read_changes(stack.cloudformation, "arn:change-set", fargate=fargate)
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
    """Batch, and what it answers about a stack of one queue."""
    client = instrument("batch", region_name="eu-north-1")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def ended(client):
    """Return what is told of ending the jobs on the queue."""
    return list(end_jobs(client, RESOURCES, reason="test", poll_seconds=0.0, patience=60.0))


def test_a_queue_is_deleted_only_when_it_is_disabled(batch):
    """Batch takes its time to disable a queue, and does not delete it meanwhile."""
    client, stub = batch
    stub.add_response("describe_job_queues", queue_described("VALID"))
    stub.add_response("update_job_queue", {})
    for _ in range(5):
        stub.add_response("list_jobs", {"jobSummaryList": []})
    for status in ("UPDATING", "UPDATING", "VALID"):
        stub.add_response("describe_job_queues", queue_described(status))
    assert ended(client) == []


@pytest.mark.parametrize("statuses", [(), ("DELETING",), ("DELETED",)])
def test_a_queue_that_is_gone_is_left_alone(batch, statuses):
    """There is nothing to end on it, and nothing more to ask about it."""
    client, stub = batch
    stub.add_response("describe_job_queues", queue_described(*statuses))
    assert ended(client) == []
    stub.add_response("describe_job_queues", queue_described(*statuses))
    assert unfinished_jobs(client, RESOURCES) == {}


class Silent:
    """A CloudFormation that accepted a request and does nothing."""

    def describe_stacks(self, **_):
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        return [{"StackEvents": []}]


def test_a_request_that_is_lost_is_not_waited_for_forever():
    """The status is still the old one, which must not count as the end of the operation."""
    following = follow(Silent(), "a stack", None, poll_seconds=0.01, silence_seconds=0.05)
    with pytest.raises(
        StackError,
        match=r"done nothing for 0.05 seconds to a stack, which is UPDATE_COMPLETE.*again",
    ):
        next(following)
