"""The stack's commands, on the embedded AWS, which creates the real template."""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from helpers import eventually

from rios_plugin_awsbatch import BatchExecutor, getStackOutputs
from rios_plugin_awsbatch.errors import AWSBatchException, StackError
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.shipped import folder
from rios_plugin_awsbatch.stackcli import createbatch, stack
from rios_plugin_awsbatch.stacks import ManagedStack, Step

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


def run(*command, **environment):
    command = [str(part) for part in command]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


# Creating


def test_a_stack_is_created_with_an_event_for_each_resource():
    """Each resource is seen to be made, the stack itself last, and its outputs can be read."""
    one = managed("Events")
    events = list(one.create({}, {"team": "maps"}))
    assert (events[-1].resource, events[-1].status) == ("Events", "CREATE_COMPLETE")
    complete = {event.resource for event in events if event.status == "CREATE_COMPLETE"}
    assert {"BatchBucket", "BatchVPC", "BatchProcessingJobQueue", "BatchProcessingJobDefinition"} <= complete
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
    assert second["BatchProcessingJobQueueName"] == f"{made.name}JobQueue"


def test_creating_a_stack_that_exists(made):
    """Creating what exists is refused, with the commands that may have been meant."""
    with pytest.raises(StackError, match=f"already is a stack {made.name} .*CREATE_COMPLETE.*modify.*delete"):
        made.create({}, {})


def test_a_failed_creation_names_the_first_cause():
    """What failed first, and why, is in the error; after that, the stack can be created without being deleted."""
    one = managed("Colliding")
    with pytest.raises(StackError, match=r"BatchRepository \(AWS::ECR::Repository\): .*riosecr.* ROLLBACK_COMPLETE"):
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
    found = boto3.client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [outputs(one)["VPC"]]}])
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
        ("Modify", "BatchComputeEnvironmentFargate")
    }
    events = list(made.apply(plan))
    assert (events[-1].resource, events[-1].status) == (made.name, "UPDATE_COMPLETE")
    parameters = made.report().parameters
    assert (parameters["MaxJobs"], parameters["MaxMemory"], parameters["ComputeType"]) == ("7", "8192", "fargate")
    assert parameters["MaxVCPUS"] == "8", "seven workers and a main script"
    assert outputs(made)["BatchMaxJobs"] == "7"


def test_revisions_are_kept_when_a_definition_changes(made):
    """A job that waits with the old revision can still start; new jobs get the new one."""
    batch, name = boto3.client("batch"), outputs(made)["BatchProcessingJobDefinitionName"]
    list(made.apply(made.plan({"MaxMemory": "8192"}, {})))
    found = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    memory = {one["revision"]: one["containerProperties"]["resourceRequirements"][1]["value"] for one in found}
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
    assert (done.returncode, done.stdout) == (0, f"Nothing to change: stack {made.name} in {REGION} is as asked for.\n")


def test_a_failed_change_names_the_cause_and_leaves_the_stack_as_it_was(made):
    """What could not be changed, and why, is in the error; the stack goes on as before."""
    before = outputs(made)
    plan = made.plan({"ECRName": "riosecr", "MaxJobs": "9"}, {})
    with pytest.raises(
        StackError, match=r"was not changed: BatchRepository .*riosecr.*UPDATE_ROLLBACK_COMPLETE.*as it"
    ):
        list(made.apply(plan))
    assert outputs(made) == before
    with pytest.raises(StackError, match="riosecrmain"):
        list(made.apply(made.plan({"ECRName": "riosecrmain"}, {})))
    assert "'riosecrmain'" in made.report().cause, "the cause of the latest failure, not of an earlier one"


def test_modifying_a_stack_that_is_not_there():
    """The sentence says which stack, and how to name another."""
    with pytest.raises(StackError, match=f"There is no stack Nowhere in {REGION}; create it"):
        managed("Nowhere").plan({}, {})


def test_a_stack_of_another_template_is_left_alone():
    """A stack that somebody else made is not changed into one of ours."""
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    boto3.client("cloudformation").create_stack(StackName="Foreign", TemplateBody=json.dumps(template))
    with pytest.raises(StackError, match="not made from this package's template"):
        managed("Foreign").plan({}, {})


# Deleting


def test_delete_leaves_nothing(made):
    """All versions of objects, all images, jobs, queues of runs and old revisions are gone with the stack."""
    s3, ecr, batch, sqs = (boto3.client(name) for name in ("s3", "ecr", "batch", "sqs"))
    found = outputs(made)
    bucket = found["BatchBucket"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(1001):
        s3.put_object(Bucket=bucket, Key=f"runs/a/{number % 900}", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="runs/a/1")
    repositories = [found[name].partition("/")[2] for name in ("BatchECR", "BatchECRMain")]
    for repository in repositories:
        for number in range(101):
            ecr.put_image(repositoryName=repository, imageManifest=manifest(number), imageTag=str(number))
    queue = sqs.create_queue(QueueName=f"{made.name}-run-x-tasks")["QueueUrl"]
    other = sqs.create_queue(QueueName=f"other-{made.name}-run-x-tasks")["QueueUrl"]
    list(made.apply(made.plan({"MaxMemory": "8192"}, {})))
    job = batch.submit_job(
        jobName="endless",
        jobQueue=found["BatchProcessingJobQueueName"],
        jobDefinition=found["BatchProcessingJobDefinitionName"],
        containerOverrides={"command": ["sleep", "1000"]},
    )["jobId"]
    eventually(lambda: batch.describe_jobs(jobs=[job])["jobs"][0]["status"] == "RUNNING")

    said = steps(made.delete())

    assert said[0] == "Ending 1 job"
    assert f"Deleted 1002 objects of bucket {bucket}" in said
    assert f"Deleted 101 images of repository {repositories[1]}" in said
    assert "Deleted 1 queue of runs" in said
    assert not exists(made.name)
    assert batch.describe_jobs(jobs=[job])["jobs"][0]["status"] == "FAILED"
    assert bucket not in {one["Name"] for one in s3.list_buckets()["Buckets"]}
    assert not set(repositories) & {one["repositoryName"] for one in ecr.describe_repositories()["repositories"]}
    urls = sqs.list_queues()["QueueUrls"]
    assert queue not in urls
    assert other in urls, "it is somebody else's"
    for name in ("BatchProcessingJobDefinitionName", "BatchProcessingJobDefinitionMainName"):
        assert not batch.describe_job_definitions(jobDefinitionName=found[name], status="ACTIVE")["jobDefinitions"]
    vpcs = boto3.client("ec2").describe_vpcs()["Vpcs"]
    assert found["VPC"] not in {vpc["VpcId"] for vpc in vpcs}


def manifest(number):
    layers = [{"mediaType": "x", "size": 1, "digest": f"sha256:{number:064x}"}]
    config = {"mediaType": "x", "size": 1, "digest": f"sha256:{number:064x}"}
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers})


def test_delete_says_what_it_could_not_delete(made):
    """What is in the way is named with AWS's reason, and what is left; without it, deleting again succeeds."""
    ec2 = boto3.client("ec2")
    subnet = ec2.create_subnet(VpcId=outputs(made)["VPC"], CidrBlock="10.0.200.0/24")["Subnet"]["SubnetId"]
    with pytest.raises(StackError, match=r"not deleted: BatchVPC \(AWS::EC2::VPC\).*Left: AWS::EC2::VPC vpc-"):
        list(made.delete())
    ec2.delete_subnet(SubnetId=subnet)
    list(made.delete())
    assert not exists(made.name)


def test_deleting_a_stack_that_is_not_there():
    """The sentence says which stack."""
    with pytest.raises(StackError, match=f"There is no stack Nowhere in {REGION}"):
        list(managed("Nowhere").delete())


# Looking


def test_report_says_what_may_be_wrong(made):
    """The state of the environment, jobs that wait, and a repository without an image are in the report."""
    report = made.report()
    assert (report.status, report.cause, report.runs) == ("CREATE_COMPLETE", "", 0)
    assert report.environment.startswith("ENABLED, VALID")
    assert set(report.images.values()) == {None}
    assert not any(report.jobs.values())
    said = run(BIN / "rios-awsbatch", "stack", "status", "--stackname", made.name).stdout
    assert "none: push one" in said
    assert f"output BatchBucket: {report.outputs['BatchBucket']}" in said


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
    groups = boto3.client("logs").describe_log_streams(logGroupName=found["BatchLogGroup"])["logStreams"]
    assert all(one["logStreamName"].startswith(f"{made.name}JobDefinition/default/") for one in groups)


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
        lambda: (one := batch.describe_jobs(jobs=[job])["jobs"][0])["status"] in ("SUCCEEDED", "FAILED") and one
    )
    stream = described["container"]["logStreamName"]
    events = boto3.client("logs").get_log_events(logGroupName=found["BatchLogGroup"], logStreamName=stream)["events"]
    assert (described["status"], [event["message"] for event in events][-1]) == ("SUCCEEDED", "32")


# The commands


def test_every_parameter_has_an_option():
    """What the template can be told, the commands can be told."""
    text = (folder("stack") / "batch.yaml").read_text()
    section = text.partition("\nParameters:\n")[2].partition("\nRules:\n")[0]
    parameters = {line[2:-1] for line in section.splitlines() if line.startswith("  ") and line[2] != " "}
    for command in (stack.commands["create"], stack.commands["modify"], createbatch):
        named = {option.name for option in command.params}
        assert {name for name in parameters if name.lower() not in named and name not in named} == {"AZ1", "AZ2", "AZ3"}
        assert "zones" in named


def test_the_scripts_that_rios_s_users_know():
    """createbatch.py creates and modifies, deletebatch.py deletes, with RIOS's options and the stack's variables."""
    scripts, environment = folder("stack"), {"RIOS_AWSBATCH_STACK": "Scripts"}
    options = ["--ecrname", "scripts", "--vcpus", "2", "--mem", "2000", "--maxjobs", "3", "--tag", "team,maps"]
    zones = [part for letter in "abc" for part in ("--az", REGION + letter)]
    done = run(sys.executable, scripts / "createbatch.py", "--wait", *options, *zones, **environment)
    assert done.returncode == 0, done.stderr
    assert "CREATE_COMPLETE  BatchBucket (AWS::S3::Bucket)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"Created stack Scripts in {REGION}.")
    one = managed("Scripts")
    wanted = {"ECRName": "scripts", "VCPUS": "2", "MaxMemory": "2000", "MaxJobs": "3", "AZ3": f"{REGION}c"}
    assert wanted.items() <= one.report().parameters.items()
    (found,) = boto3.client("cloudformation").describe_stacks(StackName="Scripts")["Stacks"]
    assert found["Tags"] == [{"Key": "team", "Value": "maps"}]

    again = run(sys.executable, scripts / "createbatch.py", "--stackname", "Scripts", "--region", REGION)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"createbatch.py: There already is a stack Scripts in {REGION}")

    changed = run(sys.executable, scripts / "createbatch.py", "--modify", "--wait", "--maxjobs", "9", **environment)
    assert changed.returncode == 0, changed.stderr
    assert one.report().parameters["MaxJobs"] == "9"

    gone = run(sys.executable, scripts / "deletebatch.py", "--wait", **environment)
    assert gone.returncode == 0, gone.stderr
    assert gone.stdout.splitlines()[-1].startswith(f"Deleted stack Scripts in {REGION}.")
    assert not exists("Scripts")
    missing = run(sys.executable, scripts / "deletebatch.py", "--wait", **environment)
    assert missing.stderr.startswith(f"deletebatch.py: There is no stack Scripts in {REGION}")


def test_three_zones_or_none():
    """As with RIOS's script, zones come in threes."""
    done = run(sys.executable, folder("stack") / "createbatch.py", "--az", f"{REGION}a")
    assert (done.returncode, exists("RIOS")) == (2, True)
    assert "Give --az 3 times" in done.stderr


def test_dry_run_changes_nothing(made):
    """modify --dry-run lists the changes and makes none of them."""
    done = run(*(BIN / "rios-awsbatch", "stack", "modify", "--stackname", made.name, "--maxjobs", "2", "--dry-run"))
    assert done.stdout == "Modify BatchComputeEnvironmentFargate (AWS::Batch::ComputeEnvironment)\n"
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
    with pytest.raises(AWSBatchException, match=r"Cannot look at stack RIOS .*there are no AWS credentials"):
        managed("RIOS").report()
