"""The stack's commands, on the embedded AWS, which creates the real template."""

import itertools
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from rios_plugin_awsbatch import BatchExecutor, getStackOutputs
from rios_plugin_awsbatch.aws.names import new_run_id
from rios_plugin_awsbatch.cli.stack import _create, createbatch, stack
from rios_plugin_awsbatch.errors import AWSBatchException, StackError
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.shipped import folder
from rios_plugin_awsbatch.stack.contents import Contents, Step
from rios_plugin_awsbatch.stack.managed import DESCRIPTION, RIOS_DESCRIPTION, ManagedStack
from tests.support.helpers import eventually

REGION = "ap-southeast-2"
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture(scope="module")
def numbers():
    return itertools.count()


@pytest.fixture(scope="module")
def aws():
    """An embedded AWS with the stack RIOS in it, beside which the tests make others."""
    with LocalAWS(workers=3, stop_grace=1.0) as embedded, embedded.activated():
        yield embedded


def managed(name):
    return ManagedStack(name, REGION, poll_seconds=0.05)


@pytest.fixture
def made(numbers):
    """A stack made for one test, and deleted after it unless the test has done so."""
    one = managed(f"Test{next(numbers)}")
    list(one.create({"ComputeType": "fargate"}, {}))
    yield one
    if exists(one.name):
        list(one.delete())


def outputs(one):
    return dict(one.report().outputs)


def exists(name):
    try:
        boto3.client("cloudformation").describe_stacks(StackName=name)
    except ClientError:
        return False
    return True


def steps(records):
    return [record.text for record in records if isinstance(record, Step)]


def run(*command, stdin=subprocess.DEVNULL, **environment):
    command, environment = [str(part) for part in command], {**os.environ, **environment}
    done = subprocess.run(
        command, env=environment, stdin=stdin, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def run_on_terminal(answer, *command, **environment):
    """Run a command with a terminal, at which somebody types an answer."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        return run(*command, stdin=theirs, **environment)
    finally:
        os.close(ours)
        os.close(theirs)


def endless_job(one):
    """Return the id of a main job of a stack's that runs until it is ended."""
    batch, found = boto3.client("batch"), outputs(one)
    job = batch.submit_job(
        jobName="endless",
        jobQueue=found["BatchProcessingJobQueueNameMain"],
        jobDefinition=found["BatchProcessingJobDefinitionName"],
        containerOverrides={"command": ["sleep", "1000"]},
    )["jobId"]
    eventually(lambda: job_status(job) == "RUNNING")
    return job


def job_status(job):
    return boto3.client("batch").describe_jobs(jobs=[job])["jobs"][0]["status"]


def end_job(job):
    boto3.client("batch").terminate_job(jobId=job, reason="test")
    eventually(lambda: job_status(job) == "FAILED")


def run_queue(name):
    """Make a queue as runs of a stack do, and return its URL."""
    return boto3.client("sqs").create_queue(QueueName=f"{name}-run-{new_run_id()}-tasks")[
        "QueueUrl"
    ]


def put_image(repository, number=0):
    tag = str(number)
    boto3.client("ecr").put_image(
        repositoryName=repository, imageManifest=manifest(number), imageTag=tag
    )


def buckets():
    return {one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"]}


def repositories():
    return {
        one["repositoryName"] for one in boto3.client("ecr").describe_repositories()["repositories"]
    }


def register(definition):
    container = {"image": "x", "vcpus": 1, "memory": 128}
    batch = boto3.client("batch")
    batch.register_job_definition(
        jobDefinitionName=definition, type="container", containerProperties=container
    )


def change_sets(name):
    listed = boto3.client("cloudformation").list_change_sets(StackName=name)["Summaries"]
    return [one for one in listed if one["StackName"] == name]  # moto lists those of all stacks


def active_definitions():
    pages = (
        boto3.client("batch").get_paginator("describe_job_definitions").paginate(status="ACTIVE")
    )
    return {one["jobDefinitionName"] for page in pages for one in page["jobDefinitions"]}


def manifest(number):
    layers = [{"mediaType": "x", "size": 1, "digest": f"sha256:{number:064x}"}]
    config = {"mediaType": "x", "size": 1, "digest": f"sha256:{number:064x}"}
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers})


# Creating


def test_a_stack_is_created_with_an_event_for_each_resource():
    """Each resource is seen to be made, the stack itself last, and its outputs can be read."""
    one = managed("Events")
    events = list(one.create({}, {"team": "maps"}))
    assert (events[-1].resource, events[-1].status) == ("Events", "CREATE_COMPLETE")
    complete = {event.resource for event in events if event.status == "CREATE_COMPLETE"}
    assert {
        "BatchBucket",
        "BatchVPC",
        "BatchProcessingJobQueue",
        "BatchProcessingJobDefinition",
    } <= complete
    assert outputs(one)["BatchMaxJobs"] == "32"
    (found,) = boto3.client("cloudformation").describe_stacks(StackName="Events")["Stacks"]
    assert found["Tags"] == [{"Key": "team", "Value": "maps"}]
    list(one.delete())


def test_a_second_stack_has_other_names(made):
    """No bucket, queue, definition, repository or log group of another stack is the stack RIOS's."""
    first, second = getStackOutputs(), outputs(made)
    same = {name for name in first if first[name] == second[name]}
    assert same <= {"BatchMaxJobs", "BatchVCPUS", "BatchArchitecture"}
    assert first["BatchProcessingJobQueueName"] == "riosJobQueue"
    assert second["BatchProcessingJobQueueName"] == f"{made.name}-JobQueue"


def test_creating_a_stack_that_exists(made):
    """Creating what exists is refused, with the commands that may have been meant."""
    with pytest.raises(
        StackError, match=f"already is a stack {made.name} .*CREATE_COMPLETE.*modify.*delete"
    ):
        made.create({}, {})


def test_a_failed_creation_names_the_first_cause():
    """What failed first, and why, is in the error; after that, the stack can be created without being deleted."""
    one = managed("Colliding")
    with pytest.raises(
        StackError, match=r"BatchRepository \(AWS::ECR::Repository\): .*riosecr.* ROLLBACK_COMPLETE"
    ):
        list(one.create({"ECRName": "riosecr"}, {}))
    report = one.report()
    assert report.status == "ROLLBACK_COMPLETE"
    assert "riosecr" in report.cause
    with pytest.raises(StackError, match="create it again"):
        one.plan({}, {})
    assert list(one.create({"ECRName": "othername"}, {}))[-1].status == "CREATE_COMPLETE"
    assert outputs(one)["BatchECR"].endswith("/othername")
    assert outputs(one)["BatchECRMain"].endswith("/othernamemain")
    list(one.delete())


def test_zones_can_be_chosen():
    """Subnets are in the zones that are given."""
    one = managed("Zones")
    zones = {f"AZ{number}": f"{REGION}{letter}" for number, letter in enumerate("cab", 1)}
    list(one.create(zones, {}))
    found = boto3.client("ec2").describe_subnets(
        Filters=[{"Name": "vpc-id", "Values": [outputs(one)["VPC"]]}]
    )
    assert {subnet["AvailabilityZone"] for subnet in found["Subnets"]} == set(zones.values())
    list(one.delete())


def test_a_vpc_of_the_user_s_own():
    """With a VPC and subnets, the stack makes no others, and leaves them when it is deleted."""
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    before = len(ec2.describe_vpcs()["Vpcs"])
    one = managed("OwnVPC")
    list(one.create({"VpcId": vpc, "SubnetIds": subnet}, {}))
    assert outputs(one)["VPC"] == vpc
    assert len(ec2.describe_vpcs()["Vpcs"]) == before
    (environment,) = boto3.client("batch").describe_compute_environments(
        computeEnvironments=[outputs(one)["ComputeEnvironmentArn"]]
    )["computeEnvironments"]
    assert environment["computeResources"]["subnets"] == [subnet]
    list(one.delete())
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]


@pytest.mark.parametrize("name", ["", "1st", "under_score", "a" * 41])
def test_a_name_that_no_stack_can_have(name):
    """Names that would not fit those of runs' queues are refused before AWS is asked."""
    with pytest.raises(StackError, match="cannot be named"):
        managed(name)


# Modifying


def test_modifying_changes_what_is_given_and_keeps_the_rest(made):
    """Other parameters stay as they are, and what depends on the changed one follows."""
    list(made.apply(made.plan({"MaxMemory": "8192"}, {})))
    plan = made.plan({"MaxJobs": "7"}, {})
    assert {(change.action, change.resource) for change in plan.changes} == {
        ("Modify", "BatchComputeEnvironmentFargate"),
        ("Modify", "BatchComputeEnvironmentMainFargate"),
    }
    events = list(made.apply(plan))
    assert (events[-1].resource, events[-1].status) == (made.name, "UPDATE_COMPLETE")
    parameters = made.report().parameters
    assert (parameters["MaxJobs"], parameters["MaxMemory"], parameters["ComputeType"]) == (
        "7",
        "8192",
        "fargate",
    )
    assert parameters["MaxVCPUS"] == "7"
    assert outputs(made)["BatchMaxJobs"] == "7"


def test_revisions_are_kept_when_a_definition_changes(made):
    """A job that waits with the old revision can still start; new jobs get the new one."""
    batch, name = boto3.client("batch"), outputs(made)["BatchProcessingJobDefinitionName"]
    list(made.apply(made.plan({"MaxMemory": "8192"}, {})))
    found = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")[
        "jobDefinitions"
    ]
    memory = {
        one["revision"]: one["containerProperties"]["resourceRequirements"][1]["value"]
        for one in found
    }
    assert memory == {1: "4096", 2: "8192"}
    assert outputs(made)["BatchProcessingJobDefinitionArn"].endswith(":2")


def test_from_fargate_to_spot_and_back(made):
    """Another compute type puts another environment behind the same queue."""
    queue = outputs(made)["BatchProcessingJobQueueArn"]
    for kind, expected in (("spot", "SPOT"), ("fargate-spot", "FARGATE_SPOT")):
        list(made.apply(made.plan({"ComputeType": kind}, {})))
        found = outputs(made)
        assert found["BatchProcessingJobQueueArn"] == queue
        (environment,) = boto3.client("batch").describe_compute_environments(
            computeEnvironments=[found["ComputeEnvironmentArn"]]
        )["computeEnvironments"]
        assert environment["computeResources"]["type"] == expected


def test_modifying_without_a_change(made):
    """If nothing differs, nothing is done, and that is no error."""
    plan = made.plan({"ComputeType": "fargate"}, {})
    assert (plan.changes, plan.change_set) == ((), None)
    assert list(made.apply(plan)) == []
    done = run(BIN / "rios-awsbatch", "stack", "modify", "--wait", "--stackname", made.name)
    assert (done.returncode, done.stdout) == (
        0,
        f"Nothing to change: stack {made.name} in {REGION} is as asked for.\n",
    )


def test_a_failed_change_names_the_cause_and_leaves_the_stack_as_it_was(made):
    """What could not be changed, and why, is in the error; the stack goes on as before."""
    before = outputs(made)
    plan = made.plan({"ECRName": "riosecr", "MaxJobs": "9"}, {})
    with pytest.raises(
        StackError,
        match=r"was not changed: BatchRepository .*riosecr.*UPDATE_ROLLBACK_COMPLETE.*as it",
    ):
        list(made.apply(plan))
    assert outputs(made) == before
    with pytest.raises(StackError, match="riosecrmain"):
        list(made.apply(made.plan({"ECRName": "riosecrmain"}, {})))
    assert "'riosecrmain'" in made.report().cause, (
        "the cause of the latest failure, not of an earlier one"
    )


def test_modifying_a_stack_that_is_not_there():
    """The sentence says which stack, and how to name another."""
    with pytest.raises(StackError, match=f"There is no stack Nowhere in {REGION}; create it"):
        managed("Nowhere").plan({}, {})


def test_a_stack_of_another_template_is_left_alone():
    """A stack that somebody else made is not changed into one of ours."""
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    boto3.client("cloudformation").create_stack(
        StackName="Foreign", TemplateBody=json.dumps(template)
    )
    with pytest.raises(StackError, match="not made from this package's template"):
        managed("Foreign").plan({}, {})


@pytest.mark.parametrize(
    "change",
    [
        {"ComputeType": "spot"},
        {"ComputeType": "fargate-spot"},
        {"ServiceName": "renamed"},
        {"ECRName": "renamed"},
    ],
)
def test_what_jobs_need_is_not_taken_from_them(made, change):
    """While jobs have not ended, neither their environment nor queue, bucket or image is replaced; then it can be."""
    planned = made.plan(change, {})
    job = endless_job(made)
    for begin in (lambda: made.plan(change, {}), lambda: made.apply(planned)):
        with pytest.raises(
            StackError, match=r"deletes or replaces Batch\w+.* 1 job of .* would be lost: wait"
        ):
            begin()
    assert not change_sets(made.name)
    end_job(job)
    list(made.apply(made.plan(change, {})))
    assert made.report().status == "UPDATE_COMPLETE"


def test_replacing_bucket_and_images_must_be_meant(made):
    """What a change deletes for good is named; it wants --yes where nobody can be asked, and leaves nothing behind."""
    found = outputs(made)
    bucket, repository = found["BatchBucket"], found["BatchECR"].partition("/")[2]
    boto3.client("s3").put_object(Bucket=bucket, Key="results/kept.tif", Body=b"x")
    put_image(repository)
    command = [
        BIN / "rios-awsbatch",
        "stack",
        "modify",
        "--stackname",
        made.name,
        "--servicename",
        "other",
        "--wait",
    ]

    looked = run(*command, "--dry-run")
    assert f"This deletes bucket {bucket} with all its objects.\n" in looked.stdout
    assert f"This deletes repository {repository} with all its images.\n" in looked.stdout
    for refused, status in ((run(*command), 1), (run_on_terminal("n", *command), 130)):
        assert refused.returncode == status
        assert outputs(made) == found
    assert "give --yes" in run(*command).stderr
    assert not change_sets(made.name)

    done = run(*command, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Deleted 1 object of bucket {bucket}\n" in done.stdout
    assert "Left" not in done.stdout
    assert bucket not in buckets()
    assert repository not in repositories()


def test_definitions_of_former_names_are_deregistered(made):
    """Other names leave no old revision and no copy under the former ones; those in force keep theirs."""
    main = outputs(made)["BatchProcessingJobDefinitionMainName"]
    register(f"{main}-{new_run_id()}")
    list(made.apply(made.plan({"MaxMemory": "8192"}, {})))
    assert steps(made.apply(made.plan({"ServiceName": "former"}, {}))) == [
        "Deleted 4 old job definitions"
    ]
    assert not {name for name in active_definitions() if name.startswith(made.name)}
    assert steps(made.apply(made.plan({"MaxMemory": "4096"}, {}))) == []


def test_what_a_change_could_not_delete_is_told():
    """CloudFormation calls a change complete although something old has stayed: it is named, with AWS's reason."""
    one, ec2 = managed("Moving"), boto3.client("ec2")
    list(one.create({}, {}))
    old = outputs(one)["VPC"]
    ec2.create_subnet(VpcId=old, CidrBlock="10.0.200.0/24")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    (left,) = steps(one.apply(one.plan({"VpcId": vpc, "SubnetIds": subnet}, {})))
    assert left.startswith(f"Left, and yours to delete: AWS::EC2::VPC {old}. ")
    list(one.delete())


def test_zones_cannot_be_changed(made):
    """Subnets in other zones would want the addresses of those that are there: one sentence instead of a failure."""
    zones = {f"AZ{number}": f"{REGION}{letter}" for number, letter in enumerate("cab", 1)}
    with pytest.raises(
        StackError, match=r"zones of .* cannot be changed: delete it, and create it with --az"
    ):
        made.plan(zones, {})


# Deleting


def test_delete_leaves_nothing(made):
    """All versions of objects, all images, jobs, queues of runs and old revisions are gone with the stack."""
    s3, batch = boto3.client("s3"), boto3.client("batch")
    found = outputs(made)
    bucket = found["BatchBucket"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(1001):
        s3.put_object(Bucket=bucket, Key=f"runs/a/{number % 900}", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="runs/a/1")
    names = [found[name].partition("/")[2] for name in ("BatchECR", "BatchECRMain")]
    for name in names:
        for number in range(101):
            put_image(name, number)
    queue = run_queue(made.name)
    others = {
        run_queue(f"other-{made.name}"),
        run_queue(f"{made.name}-run-x"),
        run_queue(f"{made.name}-run"),
    }
    list(made.apply(made.plan({"MaxMemory": "8192"}, {})))
    job = endless_job(made)

    said = steps(made.delete())

    assert said[0] == "Ending 1 job"
    assert f"Deleted 1002 objects of bucket {bucket}" in said
    assert f"Deleted 101 images of repository {names[1]}" in said
    assert "Deleted 1 queue of runs" in said
    assert "Deleted 3 old job definitions" in said
    assert said[-1] == "Nothing is left"
    assert not exists(made.name)
    assert job_status(job) == "FAILED"
    assert bucket not in buckets()
    assert not set(names) & repositories()
    urls = set(boto3.client("sqs").list_queues()["QueueUrls"])
    assert queue not in urls
    assert others <= urls, "they are those of other stacks"
    for name in ("BatchProcessingJobDefinitionName", "BatchProcessingJobDefinitionMainName"):
        assert not batch.describe_job_definitions(jobDefinitionName=found[name], status="ACTIVE")[
            "jobDefinitions"
        ]
    vpcs = boto3.client("ec2").describe_vpcs()["Vpcs"]
    assert found["VPC"] not in {vpc["VpcId"] for vpc in vpcs}


def test_copies_of_definitions_are_deregistered(made):
    """Submissions register copies of the main definition; they go, those of other stacks stay."""
    main = outputs(made)["BatchProcessingJobDefinitionMainName"]
    copies = {f"{main}-{new_run_id()}" for _ in range(2)}
    others = {f"{main}-mine", f"{main}-{new_run_id()}x", f"x{main}-{new_run_id()}"}
    for name in copies | others:
        register(name)
    assert "Deleted 2 old job definitions" in steps(made.delete())
    assert active_definitions() & (copies | others) == others


def test_what_is_made_while_the_stack_goes_is_deleted_too(made):
    """A main script that does not know yet makes a queue: it is found when the stack has gone."""
    records = made.delete()
    event = next(record for record in records if not isinstance(record, Step))
    assert event.resource == made.name
    queue = run_queue(made.name)
    assert steps(records) == ["Deleted 1 queue of runs", "Nothing is left"]
    assert queue not in boto3.client("sqs").list_queues()["QueueUrls"]


def test_jobs_that_do_not_end_are_told(made):
    """Whoever waits in vain for jobs to end is told how many there are."""
    job = endless_job(made)
    contents = Contents(made.name, REGION, 0.05, patience=0.0)
    said = steps(contents.delete(made._resources(made.name)))
    assert said[:2] == ["Ending 1 job", "Not ended after 0 s: 1 job; going on"]
    eventually(lambda: job_status(job) == "FAILED")


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


def create_foreign(name, template, **more):
    """Create a stack with another template, and return the names of its bucket and its repository, which are full."""
    boto3.client("cloudformation").create_stack(
        StackName=name, TemplateBody=json.dumps(template), **more
    )
    found = outputs(managed(name))
    boto3.client("s3").put_object(Bucket=found["Bucket"], Key="precious", Body=b"x")
    put_image(found["Repository"])
    return found["Bucket"], found["Repository"]


@pytest.mark.parametrize(
    ("name", "template", "more", "said"),
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
def test_what_may_not_be_deleted_stays_as_it_is(name, template, more, said):
    """Of a stack that somebody else made, or that is protected, nothing is deleted."""
    bucket, repository = create_foreign(name, template, **more)
    with pytest.raises(StackError, match=said):
        list(managed(name).delete())
    assert boto3.client("s3").head_object(Bucket=bucket, Key="precious")
    assert boto3.client("ecr").list_images(repositoryName=repository)["imageIds"]


def test_rios_s_own_stack_can_be_deleted():
    """A stack made from RIOS's own template goes as ours do; it cannot be modified into one of ours."""
    bucket, repository = create_foreign("Old", {**TEMPLATE, "Description": RIOS_DESCRIPTION})
    with pytest.raises(StackError, match="or delete it by `rios-awsbatch stack delete`"):
        managed("Old").plan({}, {})
    list(managed("Old").delete())
    assert bucket not in buckets()
    assert repository not in repositories()


def test_delete_says_what_it_could_not_delete(made):
    """What is in the way is named with AWS's reason, and what is left; without it, deleting again succeeds."""
    ec2 = boto3.client("ec2")
    subnet = ec2.create_subnet(VpcId=outputs(made)["VPC"], CidrBlock="10.0.200.0/24")["Subnet"][
        "SubnetId"
    ]
    with pytest.raises(
        StackError, match=r"not deleted: BatchVPC \(AWS::EC2::VPC\).*Left: AWS::EC2::VPC vpc-"
    ):
        list(made.delete())
    ec2.delete_subnet(SubnetId=subnet)
    list(made.delete())
    assert not exists(made.name)


def test_deleting_a_stack_that_is_not_there():
    """The sentence says which stack."""
    with pytest.raises(StackError, match=f"There is no stack Nowhere in {REGION}"):
        list(managed("Nowhere").delete())


def test_the_status_of_a_stack_that_has_gone():
    """This is how to see that a stack is gone."""
    done = run(BIN / "rios-awsbatch", "stack", "status", "--stackname", "Nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"rios-awsbatch: There is no stack Nowhere in {REGION}; create it"
    )


# Looking


def test_report_says_what_may_be_wrong(made):
    """The state of the environment, jobs that wait, and a repository without an image are in the report."""
    report = made.report()
    assert (report.status, report.cause, report.runs) == ("CREATE_COMPLETE", "", 0)
    assert [said.startswith("ENABLED, VALID") for said in report.environments.values()] == [
        True,
        True,
    ]
    assert set(report.images.values()) == {None}
    assert not any(report.jobs.values())
    said = run(BIN / "rios-awsbatch", "stack", "status", "--stackname", made.name).stdout
    assert "none: push one" in said
    assert f"output BatchBucket: {report.outputs['BatchBucket']}" in said


def test_report_of_what_is_left(made):
    """After a deletion that failed, the report tells why, and asks for nothing that is gone."""
    ec2, found = boto3.client("ec2"), outputs(made)
    subnet = ec2.create_subnet(VpcId=found["VPC"], CidrBlock="10.0.200.0/24")["Subnet"]["SubnetId"]
    with pytest.raises(StackError):
        list(made.delete())
    report = made.report()
    assert (report.status, report.environments, report.images) == ("DELETE_FAILED", {}, {})
    assert "BatchVPC" in report.cause
    assert (
        "status: DELETE_FAILED"
        in run(BIN / "rios-awsbatch", "stack", "status", "--stackname", made.name).stdout
    )
    with pytest.raises(StackError, match="DELETE_FAILED: only `rios-awsbatch stack delete` helps"):
        made.create({}, {})
    ec2.delete_subnet(SubnetId=subnet)


def test_report_of_what_was_deleted_by_hand(made):
    """What CloudFormation takes for there, and is not, is no reason to say nothing of the rest."""
    found, batch = outputs(made), boto3.client("batch")
    boto3.client("s3").delete_bucket(Bucket=found["BatchBucket"])
    batch.update_job_queue(jobQueue=found["BatchProcessingJobQueueName"], state="DISABLED")
    batch.delete_job_queue(jobQueue=found["BatchProcessingJobQueueName"])
    batch.update_compute_environment(
        computeEnvironment=found["ComputeEnvironmentArn"], state="DISABLED"
    )
    batch.delete_compute_environment(computeEnvironment=found["ComputeEnvironmentArn"])
    report = made.report()
    assert (report.status, report.runs, dict(report.jobs)) == ("CREATE_COMPLETE", 0, {})
    assert report.environments[found["ComputeEnvironmentArn"].rpartition("/")[2]] == "gone"
    assert report.environments[found["ComputeEnvironmentMainArn"].rpartition("/")[2]].startswith(
        "ENABLED"
    )


# Workers on such a stack


def test_workers_start_from_the_definition_of_this_stack(made, monkeypatch):
    """A run on the stack starts workers by its definition: with its environment, by the image's entry point."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", made.name)
    found = outputs(made)
    with BatchExecutor(2) as executor:
        seen = executor.submit(os.getenv, "RIOS_AWSBATCH_STACK").result(60)
        region = executor.submit(os.getenv, "AWS_DEFAULT_REGION").result(60)
        jobs = list_jobs(found["BatchProcessingJobQueueName"])
    assert (seen, region) == (made.name, REGION)
    assert [job["jobDefinition"] for job in jobs] == [found["BatchProcessingJobDefinitionArn"]]
    groups = boto3.client("logs").describe_log_streams(logGroupName=found["BatchLogGroup"])[
        "logStreams"
    ]
    assert all(
        one["logStreamName"].startswith(f"{made.name}-JobDefinition/default/") for one in groups
    )


def list_jobs(queue):
    batch = boto3.client("batch")
    found = batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["*"]}])
    return [batch.describe_jobs(jobs=[one["jobId"]])["jobs"][0] for one in found["jobSummaryList"]]


MAIN = """
from rios_plugin_awsbatch import BatchExecutor
with BatchExecutor(1) as executor:
    print(executor.submit(pow, 2, 5).result())
"""


def test_a_main_script_can_be_a_job_of_this_stack(made):
    """The main definition gives a script all it needs to run workers on the stack that it is a job of."""
    batch, found = boto3.client("batch"), outputs(made)
    job = batch.submit_job(
        jobName="main",
        jobQueue=found["BatchProcessingJobQueueName"],
        jobDefinition=found["BatchProcessingJobDefinitionMainName"],
        containerOverrides={"command": ["python", "-c", MAIN]},
    )["jobId"]
    described = eventually(
        lambda: (
            (one := batch.describe_jobs(jobs=[job])["jobs"][0])["status"] in ("SUCCEEDED", "FAILED")
            and one
        )
    )
    stream = described["container"]["logStreamName"]
    events = boto3.client("logs").get_log_events(
        logGroupName=found["BatchLogGroup"], logStreamName=stream
    )["events"]
    assert (described["status"], [event["message"] for event in events][-1]) == ("SUCCEEDED", "32")


# The commands


def test_every_parameter_has_an_option():
    """What the template can be told, the commands can be told."""
    text = (folder("stack") / "batch.yaml").read_text()
    section = text.partition("\nParameters:\n")[2].partition("\nRules:\n")[0]
    parameters = {
        line[2:-1] for line in section.splitlines() if line.startswith("  ") and line[2] != " "
    }
    for command in (stack.commands["create"], stack.commands["modify"], createbatch):
        named = {option.name for option in command.params}
        assert {name for name in parameters if name.lower() not in named and name not in named} == {
            "AZ1",
            "AZ2",
            "AZ3",
        }
        assert "zones" in named


def test_the_scripts_that_rios_s_users_know():
    """createbatch.py creates and modifies, deletebatch.py deletes, with RIOS's options and the stack's variables."""
    scripts, environment = folder("stack"), {"RIOS_AWSBATCH_STACK": "Scripts"}
    options = [
        "--ecrname",
        "scripts",
        "--vcpus",
        "2",
        "--mem",
        "2000",
        "--maxjobs",
        "3",
        "--tag",
        "team,maps",
    ]
    zones = [part for letter in "abc" for part in ("--az", REGION + letter)]
    done = run(
        sys.executable, scripts / "createbatch.py", "--wait", *options, *zones, **environment
    )
    assert done.returncode == 0, done.stderr
    assert "CREATE_COMPLETE  BatchBucket (AWS::S3::Bucket)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"Created stack Scripts in {REGION}.")
    one = managed("Scripts")
    wanted = {
        "ECRName": "scripts",
        "VCPUS": "2",
        "MaxMemory": "2000",
        "MaxJobs": "3",
        "AZ3": f"{REGION}c",
    }
    assert wanted.items() <= one.report().parameters.items()
    (found,) = boto3.client("cloudformation").describe_stacks(StackName="Scripts")["Stacks"]
    assert found["Tags"] == [{"Key": "team", "Value": "maps"}]

    again = run(
        sys.executable, scripts / "createbatch.py", "--stackname", "Scripts", "--region", REGION
    )
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"createbatch.py: There already is a stack Scripts in {REGION}")

    changed = run(
        sys.executable,
        scripts / "createbatch.py",
        "--modify",
        "--wait",
        "--maxjobs",
        "9",
        **environment,
    )
    assert changed.returncode == 0, changed.stderr
    assert one.report().parameters["MaxJobs"] == "9"

    gone = run(sys.executable, scripts / "deletebatch.py", "--wait", **environment)
    assert gone.returncode == 0, gone.stderr
    assert gone.stdout.splitlines()[-1].startswith(f"Deleted stack Scripts in {REGION}.")
    assert not exists("Scripts")
    missing = run(sys.executable, scripts / "deletebatch.py", "--wait", **environment)
    assert missing.stderr.startswith(f"deletebatch.py: There is no stack Scripts in {REGION}")


def test_deleting_asks_on_a_terminal(made):
    """Both commands ask whoever sits at a terminal, and nobody else; --yes answers."""
    commands = (
        [BIN / "rios-awsbatch", "stack", "delete"],
        [sys.executable, folder("stack") / "deletebatch.py"],
    )
    for command in commands:
        refused = run_on_terminal("n", *command, "--stackname", made.name)
        assert refused.returncode == 130
        assert f"Delete stack {made.name} in {REGION}" in refused.stdout + refused.stderr
        assert exists(made.name)
    done = run_on_terminal("n", *commands[1], "--yes", "--wait", "--stackname", made.name)
    assert done.returncode == 0, done.stderr
    assert not exists(made.name)


def test_instance_type_is_understood_as_well():
    """RIOS's script calls it --instancetype."""
    one = managed("Instances")
    options = ["--stackname", one.name, "--instancetype", "c7g.large", "--arch", "arm64", "--wait"]
    assert run(sys.executable, folder("stack") / "createbatch.py", *options).returncode == 0
    assert one.report().parameters["InstanceTypes"] == "c7g.large"
    list(one.delete())


class Interrupted:
    """A stack, during whose change somebody presses Ctrl-C."""

    def create(self, *_):
        raise KeyboardInterrupt
        yield


def test_ctrl_c_is_answered(capsys):
    """Who looks on no longer is told that CloudFormation goes on, and how to look again."""
    with pytest.raises(KeyboardInterrupt):
        _create(Interrupted(), {"zones": (), "tags": ()}, wait=True)
    assert (
        capsys.readouterr().err
        == "CloudFormation goes on; `rios-awsbatch stack status` shows its progress.\n"
    )


def test_three_zones_or_none():
    """As with RIOS's script, zones come in threes."""
    done = run(sys.executable, folder("stack") / "createbatch.py", "--az", f"{REGION}a")
    assert (done.returncode, exists("RIOS")) == (2, True)
    assert "Give --az 3 times" in done.stderr


def test_dry_run_changes_nothing(made):
    """modify --dry-run lists the changes and makes none of them."""
    done = run(
        *(
            BIN / "rios-awsbatch",
            "stack",
            "modify",
            "--stackname",
            made.name,
            "--maxjobs",
            "2",
            "--dry-run",
        )
    )
    assert sorted(done.stdout.splitlines()) == [
        "Modify BatchComputeEnvironmentFargate (AWS::Batch::ComputeEnvironment)",
        "Modify BatchComputeEnvironmentMainFargate (AWS::Batch::ComputeEnvironment)",
    ]
    assert outputs(made)["BatchMaxJobs"] == "32"


def test_without_wait_the_commands_return_at_once():
    """Without --wait, the commands say what has begun and how to see how far it is."""
    program = [BIN / "rios-awsbatch", "stack"]
    created = run(*program, "create", "--stackname", "Later").stdout
    assert created.startswith(f"Creating stack Later in {REGION}; `rios-awsbatch stack status`")
    deleted = run(*program, "delete", "--stackname", "Later").stdout
    assert deleted.startswith(f"Deleting stack Later in {REGION}; ")
    deadline = time.monotonic() + 10
    while exists("Later") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not exists("Later")


def test_no_credentials_is_one_sentence(monkeypatch):
    """Without credentials the sentence says how to get some, and what was to be done."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    boto3.setup_default_session()
    with pytest.raises(
        AWSBatchException, match=r"Cannot look at stack RIOS .*there are no AWS credentials"
    ):
        managed("RIOS").report()
