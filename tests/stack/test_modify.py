"""Changing stacks on the embedded AWS."""

import json

import pytest

from rios_plugin_awsbatch.aws.names import new_run_id
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.modify import apply_plan, plan_change
from rios_plugin_awsbatch.stack.report import report_on
from tests.stack.support.account import (
    active_definitions,
    buckets,
    change_sets,
    end_job,
    endless_job,
    environments_behind,
    put_image,
    register,
    repositories,
    tags,
)
from tests.stack.support.stacks import (
    COMMAND,
    REGION,
    change,
    create,
    managed,
    outputs,
    run,
    run_on_terminal,
    steps,
)
from tests.support.helpers import instrument

pytestmark = pytest.mark.usefixtures("aws")


def test_what_is_given_changes_and_the_rest_stays(made):
    """Other parameters keep their values, and what depends on the changed one follows."""
    change(made, {"MaxMemory": "8192"})
    plan = plan_change(made, {"MaxJobs": "7"}, {})
    assert {(one.action, one.resource) for one in plan.changes} == {
        ("Modify", "BatchComputeEnvironmentFargate"),
        ("Modify", "BatchComputeEnvironmentMainFargate"),
    }
    events = list(apply_plan(made, plan))
    assert (events[-1].resource, events[-1].status) == (made.name, "UPDATE_COMPLETE")
    expected = {"MaxJobs": "7", "MaxMemory": "8192", "ComputeType": "fargate", "MaxVCPUS": "7"}
    assert expected.items() <= report_on(made).parameters.items()
    assert outputs(made)["BatchMaxJobs"] == "7"


def test_tags_are_added_to_those_that_are_there(made):
    """A tag that is given is added or changed; the others stay."""
    list(apply_plan(made, plan_change(made, {"MaxJobs": "7"}, {"team": "maps", "stage": "a"})))
    list(apply_plan(made, plan_change(made, {"MaxJobs": "8"}, {"stage": "b"})))
    assert tags(made.name) == {"team": "maps", "stage": "b"}


def test_revisions_are_kept_when_a_definition_changes(made):
    """A job that waits with the old revision can still start; new jobs get the new one."""
    batch, name = instrument("batch"), outputs(made)["BatchProcessingJobDefinitionName"]
    change(made, {"MaxMemory": "8192"})
    answer = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")
    memory = {
        one["revision"]: one["containerProperties"]["resourceRequirements"][1]["value"]
        for one in answer["jobDefinitions"]
    }
    assert memory == {1: "4096", 2: "8192"}
    assert outputs(made)["BatchProcessingJobDefinitionArn"].endswith(":2")


def test_to_spot_and_back(made):
    """Other environments come behind the same queue: on Spot with one on demand, if wanted."""
    queue = outputs(made)["BatchProcessingJobQueueArn"]
    for given, expected in (
        ({"ComputeType": "fargate-spot"}, ["FARGATE_SPOT", "FARGATE"]),
        ({"Fallback": "false"}, ["FARGATE_SPOT"]),
        ({"ComputeType": "fargate"}, ["FARGATE"]),
    ):
        change(made, given)
        assert outputs(made)["BatchProcessingJobQueueArn"] == queue
        assert environments_behind(queue) == expected


def test_between_ec2_and_fargate_there_is_no_way(made):
    """A job queue is for one of them for good: the sentence says so before AWS is asked."""
    with pytest.raises(StackError, match=r"run on Fargate and cannot move to EC2.*another stack"):
        plan_change(made, {"ComputeType": "spot"}, {})


def test_nothing_to_change(made):
    """If nothing differs, nothing is done, and that is no error."""
    plan = plan_change(made, {"ComputeType": "fargate"}, {})
    assert (plan.changes, plan.change_set) == ((), None)
    assert list(apply_plan(made, plan)) == []
    done = run(COMMAND, "stack", "modify", "--wait", "--stackname", made.name)
    assert done.returncode == 0, done.stderr
    assert "nothing to change" in done.stdout.lower()
    assert f"stack {made.name} in {REGION}" in done.stdout


def test_a_change_that_fails_names_the_cause_and_leaves_the_stack_as_it_was(made):
    """The error says what could not be changed, and why; the stack goes on as before."""
    before = outputs(made)
    plan = plan_change(made, {"ECRName": "riosecr", "MaxJobs": "9"}, {})
    with pytest.raises(
        StackError,
        match=r"was not changed: BatchRepository .*riosecr.*UPDATE_ROLLBACK_COMPLETE.*as it was",
    ):
        list(apply_plan(made, plan))
    assert outputs(made) == before
    with pytest.raises(StackError, match="riosecrmain"):
        change(made, {"ECRName": "riosecrmain"})
    assert "'riosecrmain'" in report_on(made).cause, "not the cause of an earlier failure"


def test_a_stack_that_does_not_exist():
    """The sentence says which stack, and how to name another."""
    with pytest.raises(StackError, match=f"There is no stack Nowhere in {REGION}; create it"):
        plan_change(managed("Nowhere"), {}, {})


def test_a_stack_of_another_template_is_left_alone():
    """A stack that somebody else made is not changed into one of ours."""
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    instrument("cloudformation").create_stack(
        StackName="Foreign", TemplateBody=json.dumps(template)
    )
    with pytest.raises(StackError, match="not made from this package's template"):
        plan_change(managed("Foreign"), {}, {})


@pytest.mark.parametrize(
    "parameters",
    [
        {"ComputeType": "fargate-spot"},
        {"ServiceName": "renamed"},
        {"ECRName": "renamed"},
    ],
)
def test_what_jobs_need_is_not_taken_from_them(made, parameters):
    """Environment, queue, bucket and images are replaced only when all jobs have ended."""
    plan = plan_change(made, parameters, {})
    job = endless_job(made)
    refused = r"deletes or replaces Batch\w+.* 1 job of .* would be lost: wait"
    with pytest.raises(StackError, match=refused):
        plan_change(made, parameters, {})
    with pytest.raises(StackError, match=refused):
        apply_plan(made, plan)
    assert not change_sets(made.name)
    end_job(job)
    change(made, parameters)
    assert report_on(made).status == "UPDATE_COMPLETE"


def test_replacing_bucket_and_images_must_be_meant(made):
    """What a change deletes for good is named, and is deleted only after a yes."""
    found = outputs(made)
    bucket, repository = found["BatchBucket"], found["BatchECR"].partition("/")[2]
    instrument("s3").put_object(Bucket=bucket, Key="results/kept.tif", Body=b"x")
    put_image(repository)
    command = [COMMAND, "stack", "modify", "--stackname", made.name, "--servicename", "other"]
    command.append("--wait")

    looked = run(*command, "--dry-run")
    assert f"This deletes bucket {bucket} with all its objects.\n" in looked.stdout
    assert f"This deletes repository {repository} with all its images.\n" in looked.stdout
    without_terminal, answered_no = run(*command), run_on_terminal("n", *command)
    assert (without_terminal.returncode, answered_no.returncode) == (1, 130)
    assert "give --yes" in without_terminal.stderr
    assert outputs(made) == found
    assert not change_sets(made.name)

    done = run(*command, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Deleted 1 object of bucket {bucket}\n" in done.stdout
    assert "Left" not in done.stdout
    assert bucket not in buckets()
    assert repository not in repositories()


def test_definitions_under_former_names_are_deregistered(made):
    """New names leave no old revision and no copy under the former ones."""
    main = outputs(made)["BatchProcessingJobDefinitionMainName"]
    register(f"{main}-{new_run_id()}")
    change(made, {"MaxMemory": "8192"})
    assert steps(change(made, {"ServiceName": "former"})) == ["Deleted 4 old job definitions"]
    assert not {name for name in active_definitions() if name.startswith(made.name)}
    assert steps(change(made, {"MaxMemory": "4096"})) == [], "names that stay keep their revisions"


def test_what_a_change_could_not_delete_is_told():
    """CloudFormation calls a change complete although something old is left: it is named."""
    stack, ec2 = create("Moving", {}), instrument("ec2")
    old = outputs(stack)["VPC"]
    ec2.create_subnet(VpcId=old, CidrBlock="10.0.200.0/24")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    (left,) = steps(change(stack, {"VpcId": vpc, "SubnetIds": subnet}))
    assert left.startswith(f"Left, and yours to delete: AWS::EC2::VPC {old}. ")
    list(delete_stack(stack))


def test_zones_cannot_be_changed(made):
    """New subnets would need the addresses of the old ones: one sentence instead of a failure."""
    zones = {f"AZ{number}": f"{REGION}{letter}" for number, letter in enumerate("cab", 1)}
    with pytest.raises(
        StackError, match=r"zones of .* cannot be changed: delete it, and create it with --az"
    ):
        plan_change(made, zones, {})
