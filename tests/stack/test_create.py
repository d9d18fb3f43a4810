"""Creating stacks on the embedded AWS, from the real template."""

import pytest

from rios_plugin_awsbatch import getStackOutputs
from rios_plugin_awsbatch.aws.names import new_run_id, queue_name
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack.create import create_stack
from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.modify import plan_change
from rios_plugin_awsbatch.stack.report import report_on
from tests.stack.support.account import compute_environment, queues_allowed, tags
from tests.stack.support.stacks import REGION, create, managed, outputs, steps
from tests.support.helpers import instrument

pytestmark = pytest.mark.usefixtures("aws")


def test_each_resource_has_an_event():
    """Each resource is seen to be created, the stack itself last, and its outputs can be read."""
    stack = managed("Events")
    events = list(create_stack(stack, {}, {"team": "maps"}))
    assert (events[-1].resource, events[-1].status) == ("Events", "CREATE_COMPLETE")
    complete = {event.resource for event in events if event.status == "CREATE_COMPLETE"}
    assert {"BatchBucket", "BatchVPC", "BatchProcessingJobQueue"} <= complete
    assert outputs(stack)["BatchMaxJobs"] == "32"
    assert tags("Events") == {"team": "maps"}
    list(delete_stack(stack))


def test_a_second_stack_has_other_names(made):
    """No bucket, queue, definition, repository or log group of one stack is another's."""
    first, second = getStackOutputs(), outputs(made)
    same = {name for name in first if first[name] == second[name]}
    assert same <= {"BatchMaxJobs", "BatchVCPUS", "BatchArchitecture"}
    assert first["BatchProcessingJobQueueName"] == "riosJobQueue"
    assert second["BatchProcessingJobQueueName"] == f"{made.name}-JobQueue"


def test_a_stack_that_exists(made):
    """Creating it again is refused, with the commands that may have been meant."""
    with pytest.raises(
        StackError, match=f"already is a stack {made.name} .*CREATE_COMPLETE.*modify.*delete"
    ):
        create_stack(made, {}, {})


def test_a_creation_that_fails_names_the_first_cause():
    """The error says what failed first, and why; then the stack can be created right away."""
    stack = managed("Colliding")
    with pytest.raises(
        StackError, match=r"BatchRepository \(AWS::ECR::Repository\): .*riosecr.* ROLLBACK_COMPLETE"
    ):
        list(create_stack(stack, {"ECRName": "riosecr"}, {}))
    report = report_on(stack)
    assert report.status == "ROLLBACK_COMPLETE"
    assert "riosecr" in report.cause
    with pytest.raises(StackError, match="create it again"):
        plan_change(stack, {}, {})
    events = list(create_stack(stack, {"ECRName": "othername"}, {}))
    assert events[-1].status == "CREATE_COMPLETE"
    assert outputs(stack)["BatchECR"].endswith("/othername")
    assert outputs(stack)["BatchECRMain"].endswith("/othernamemain")
    list(delete_stack(stack))


def test_zones_can_be_chosen():
    """Subnets are in the zones that are given."""
    zones = {f"AZ{number}": f"{REGION}{letter}" for number, letter in enumerate("cab", 1)}
    stack = create("Zones", zones)
    found = instrument("ec2").describe_subnets(
        Filters=[{"Name": "vpc-id", "Values": [outputs(stack)["VPC"]]}]
    )
    assert {subnet["AvailabilityZone"] for subnet in found["Subnets"]} == set(zones.values())
    list(delete_stack(stack))


def test_the_user_s_own_vpc():
    """With a VPC and subnets the stack makes no others, and deleting it leaves them."""
    ec2 = instrument("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    before = len(ec2.describe_vpcs()["Vpcs"])
    stack = create("OwnVPC", {"VpcId": vpc, "SubnetIds": subnet})
    assert outputs(stack)["VPC"] == vpc
    assert len(ec2.describe_vpcs()["Vpcs"]) == before
    environment = compute_environment(outputs(stack)["ComputeEnvironmentArn"])
    assert environment["computeResources"]["subnets"] == [subnet]
    list(delete_stack(stack))
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]


@pytest.mark.parametrize("name", ["", "1st", "under_score", "a" * 129])
def test_a_name_that_no_stack_can_have(name):
    """CloudFormation's rules are checked before AWS is asked."""
    with pytest.raises(StackError, match="cannot be named"):
        managed(name)


def test_a_long_name_needs_a_prefix_for_the_names_within():
    """Queues of runs are called after the stack, or after the prefix; policies say the same."""
    name = "Long" * 32
    with pytest.raises(StackError, match=r"too long for names of queues.*--servicename"):
        create_stack(managed(name), {}, {})
    stack = create(name, {"ServiceName": "short", "ComputeType": "fargate"})
    assert outputs(stack)["BatchRunQueuePrefix"] == "shortRun-"
    resources = {
        text
        for policy in instrument("iam").list_policies(Scope="Local")["Policies"]
        for text in queues_allowed(policy)
    }
    assert any(text.endswith(":shortRun-*") for text in resources)
    left = instrument("sqs").create_queue(
        QueueName=queue_name("shortRun-", new_run_id(), "results")
    )
    assert "Deleted 1 queue of runs" in steps(delete_stack(stack))
    assert left["QueueUrl"] not in instrument("sqs").list_queues()["QueueUrls"]
