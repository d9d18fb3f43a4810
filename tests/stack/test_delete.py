"""Deleting stacks on the embedded AWS."""

import json

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.names import new_run_id
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack import objects
from rios_plugin_awsbatch.stack.contents import Contents
from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.modify import plan_change
from rios_plugin_awsbatch.stack.records import JOB_QUEUE, Resource, Step
from rios_plugin_awsbatch.stack.template import DESCRIPTION, RIOS_DESCRIPTION
from tests.stack.support.account import (
    active_definitions,
    buckets,
    endless_job,
    exists,
    job_status,
    put_image,
    register,
    repositories,
    run_queue,
)
from tests.stack.support.stacks import REGION, change, managed, outputs, steps
from tests.support.helpers import eventually, instrument

pytestmark = pytest.mark.usefixtures("aws")
TEMPLATE = {
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Repository": {"Type": "AWS::ECR::Repository"},
    },
    "Outputs": {
        "Bucket": {"Value": {"Ref": "Bucket"}},
        "Repository": {"Value": {"Ref": "Repository"}},
    },
}


def fill_bucket(bucket):
    """Make 52 versions and delete markers, more than are to be listed at once."""
    s3 = instrument("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(51):
        s3.put_object(Bucket=bucket, Key=f"runs/a/{number % 45}", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="runs/a/1")


def test_nothing_is_left(made, monkeypatch):
    """All versions of objects, images, jobs, queues of runs and old revisions are gone."""
    assert objects.DELETE_KEYS == 1000  # as many as S3 lists and deletes at once
    monkeypatch.setattr(objects, "DELETE_KEYS", 50)
    found = outputs(made)
    bucket = found["BatchBucket"]
    fill_bucket(bucket)
    names = {found[name].partition("/")[2] for name in ("BatchECR", "BatchECRMain")}
    for name in names:
        for number in range(101):
            put_image(name, number)
    queue = run_queue(made.name)
    change(made, {"MaxMemory": "8192"})
    job = endless_job(made)

    told = steps(delete_stack(made))

    assert told[0] == "Ending 1 job"
    expected = {f"Deleted 101 images of repository {name}" for name in names}
    expected |= {f"Deleted 52 objects of bucket {bucket}", "Deleted 1 queue of runs"}
    assert expected | {"Deleted 3 old job definitions"} <= set(told)
    assert told[-1] == "Nothing is left"
    assert not exists(made.name)
    assert job_status(job) == "FAILED"
    assert bucket not in buckets()
    assert not names & repositories()
    assert queue not in instrument("sqs").list_queues()["QueueUrls"]
    assert not {name for name in active_definitions() if name.startswith(f"{made.name}-")}
    vpcs = instrument("ec2").describe_vpcs()["Vpcs"]
    assert found["VPC"] not in {vpc["VpcId"] for vpc in vpcs}


def test_queues_of_other_stacks_stay(made):
    """Only queues whose names are those of this stack's runs are deleted."""
    others = {run_queue(f"other-{made.name}"), run_queue(f"{made.name}-run-x")}
    others.add(run_queue(f"{made.name}-run"))
    assert steps(delete_stack(made)) == ["Nothing is left"]
    assert others <= set(instrument("sqs").list_queues()["QueueUrls"])


def test_copies_of_definitions_are_deregistered(made):
    """Submissions register copies of the main definition; they go, other stacks' stay."""
    main = outputs(made)["BatchProcessingJobDefinitionMainName"]
    copies = {f"{main}-{new_run_id()}" for _ in range(2)}
    others = {f"{main}-mine", f"{main}-{new_run_id()}x", f"x{main}-{new_run_id()}"}
    for name in copies | others:
        register(name)
    assert "Deleted 2 old job definitions" in steps(delete_stack(made))
    assert active_definitions() & (copies | others) == others


def test_what_is_made_meanwhile_is_deleted_too(made):
    """A main script that still runs makes a queue: it is found when the stack is gone."""
    records = delete_stack(made)
    event = next(record for record in records if not isinstance(record, Step))
    assert event.resource == made.name
    queue = run_queue(made.name)
    assert steps(records) == ["Deleted 1 queue of runs", "Nothing is left"]
    assert queue not in instrument("sqs").list_queues()["QueueUrls"]


def test_jobs_that_do_not_end_are_told(made):
    """If jobs do not end in time, the deletion says how many, and goes on."""
    job = endless_job(made)
    contents = Contents(Clients(REGION), made.name, "none-", 0.05, jobs_seconds=0.0)
    queues = [
        Resource(JOB_QUEUE, outputs(made)[output], "CREATE_COMPLETE")
        for output in ("BatchProcessingJobQueueArn", "BatchProcessingJobQueueMainArn")
    ]
    told = steps(contents.delete(queues))
    assert told[:2] == ["Ending 1 job", "Not ended after 0 s: 1 job; going on"]
    eventually(lambda: job_status(job) == "FAILED")


def create_foreign(name, template, **more):
    """Create a stack with a bucket and a repository, both full, and return their names."""
    instrument("cloudformation").create_stack(
        StackName=name, TemplateBody=json.dumps(template), **more
    )
    found = outputs(managed(name))
    instrument("s3").put_object(Bucket=found["Bucket"], Key="precious", Body=b"x")
    put_image(found["Repository"])
    return found["Bucket"], found["Repository"]


@pytest.mark.parametrize(
    ("name", "template", "more", "told"),
    [
        (
            "Others",
            TEMPLATE,
            {},
            "not made from this package's template.* in CloudFormation's console",
        ),
        (
            "Protected",
            {**TEMPLATE, "Description": DESCRIPTION},
            {"EnableTerminationProtection": True},
            "protected from deletion: end its termination protection",
        ),
    ],
)
def test_what_may_not_be_deleted_stays_as_it_is(name, template, more, told):
    """Nothing is deleted of a stack that somebody else made, or that is protected."""
    bucket, repository = create_foreign(name, template, **more)
    with pytest.raises(StackError, match=told):
        list(delete_stack(managed(name)))
    assert instrument("s3").head_object(Bucket=bucket, Key="precious")
    assert instrument("ecr").list_images(repositoryName=repository)["imageIds"]


def test_rios_s_own_stack_can_be_deleted():
    """A stack made from RIOS's own template is deleted as ours are, but not changed."""
    bucket, repository = create_foreign("Old", {**TEMPLATE, "Description": RIOS_DESCRIPTION})
    with pytest.raises(StackError, match="or delete it with `rios-awsbatch stack delete`"):
        plan_change(managed("Old"), {}, {})
    list(delete_stack(managed("Old")))
    assert bucket not in buckets()
    assert repository not in repositories()


def test_what_could_not_be_deleted_is_told(made):
    """What is in the way is named with AWS's reason; without it, deleting again succeeds."""
    ec2 = instrument("ec2")
    answer = ec2.create_subnet(VpcId=outputs(made)["VPC"], CidrBlock="10.0.200.0/24")
    with pytest.raises(
        StackError, match=r"not deleted: BatchVPC \(AWS::EC2::VPC\).*Left: AWS::EC2::VPC vpc-"
    ):
        list(delete_stack(made))
    ec2.delete_subnet(SubnetId=answer["Subnet"]["SubnetId"])
    list(delete_stack(made))
    assert not exists(made.name)


def test_a_stack_that_does_not_exist():
    """The sentence says which stack."""
    with pytest.raises(StackError, match=f"There is no stack Nowhere in {REGION}"):
        list(delete_stack(managed("Nowhere")))
