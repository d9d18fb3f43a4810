"""What cannot be changed in place, by CloudFormation's schemas, against what we say of it."""

import pytest

from rios_plugin_awsbatch.local.resources import FIXED
from tests.iam.handlers import kinds, schema
from tests.stack.support.template import RESOURCES, of_type

# AWS makes up these names where the template gives none, and another name is another resource.
NAMES = {
    "BucketName",
    "JobDefinitionName",
    "JobQueueName",
    "LogGroupName",
    "QueueName",
    "RepositoryName",
}


def paths(kind):
    return schema(kind).get("createOnlyProperties") or []


@pytest.mark.parametrize("kind", kinds())
def test_the_embedded_aws_replaces_what_cannot_be_changed(kind):
    """A change of such a property makes another resource there, as on AWS."""
    used = {name for one in of_type(kind).values() for name in one.get("Properties", {})}
    fixed = {name for name in used - NAMES if f"/properties/{name}" in paths(kind)}
    assert set(FIXED.get(kind, ())) == fixed


def test_a_job_queue_is_one_of_ec2_or_of_fargate_for_good():
    """So `stack modify` refuses to change between them; the template gives no type of its own."""
    assert "/properties/JobQueueType" in paths("AWS::Batch::JobQueue")
    queues = [one["Properties"] for one in of_type("AWS::Batch::JobQueue").values()]
    assert queues
    assert not any("JobQueueType" in one for one in queues)


def test_compute_environments_on_ec2_are_changed_in_place():
    """What makes CloudFormation replace one is neither in them, nor changed by a parameter."""
    fixed = paths("AWS::Batch::ComputeEnvironment")
    for one in of_type("AWS::Batch::ComputeEnvironment").values():
        properties = one["Properties"]
        named = {name for name in properties if f"/properties/{name}" in fixed}
        assert named == {"Type"}
        assert properties["Type"] == "MANAGED"
    on_ec2 = [
        one["Properties"]
        for name, one in RESOURCES.items()
        if one["Type"] == "AWS::Batch::ComputeEnvironment" and one["Condition"] != "OnFargate"
        and "Fargate" not in name
    ]  # fmt: skip
    assert on_ec2
    assert all(one["ReplaceComputeEnvironment"] is False for one in on_ec2)
    roles = [one["ComputeResources"].get("SpotIamFleetRole") for one in on_ec2]
    assert set(roles) == {None}
