"""Reports on stacks of the embedded AWS."""

import os

import pytest

from rios_plugin_awsbatch.errors import AWSBatchException, StackError
from rios_plugin_awsbatch.stack.create import create_stack
from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.report import report_on
from tests.stack.support.stacks import COMMAND, REGION, managed, outputs, run
from tests.support.helpers import instrument

pytestmark = pytest.mark.usefixtures("aws")


def test_a_new_stack(made):
    """The state of the environments, the jobs, and repositories without images are reported."""
    report = report_on(made)
    assert (report.status, report.cause, report.runs) == ("CREATE_COMPLETE", "", 0)
    assert len(report.environments) == 2
    assert all(state.startswith("ENABLED, VALID") for state in report.environments.values())
    assert set(report.images.values()) == {None}
    assert not any(report.jobs.values())
    printed = run(COMMAND, "stack", "status", "--stackname", made.name).stdout
    assert "none: push one" in printed
    assert f"output BatchBucket: {report.outputs['BatchBucket']}" in printed


def test_runs_are_counted(made):
    """Each run with objects in the bucket counts once, however many objects it has."""
    s3, bucket = instrument("s3"), outputs(made)["BatchBucket"]
    for key in ("runs/one/a", "runs/one/b", "runs/two/a", "submissions/three/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert report_on(made).runs == 2


def test_what_a_failed_deletion_left(made):
    """The report tells the cause, and asks for nothing that is gone."""
    ec2, found = instrument("ec2"), outputs(made)
    subnet = ec2.create_subnet(VpcId=found["VPC"], CidrBlock="10.0.200.0/24")["Subnet"]["SubnetId"]
    with pytest.raises(StackError):
        list(delete_stack(made))
    report = report_on(made)
    assert (report.status, report.environments, report.images) == ("DELETE_FAILED", {}, {})
    assert "BatchVPC" in report.cause
    printed = run(COMMAND, "stack", "status", "--stackname", made.name).stdout
    assert "status: DELETE_FAILED" in printed
    with pytest.raises(StackError, match="DELETE_FAILED: only `rios-awsbatch stack delete` helps"):
        create_stack(made, {}, {})
    ec2.delete_subnet(SubnetId=subnet)


def test_what_was_deleted_by_hand(made):
    """What CloudFormation believes to exist, and does not, hides nothing of the rest."""
    found, batch = outputs(made), instrument("batch")
    queue, environment = found["BatchProcessingJobQueueName"], found["ComputeEnvironmentArn"]
    instrument("s3").delete_bucket(Bucket=found["BatchBucket"])
    batch.update_job_queue(jobQueue=queue, state="DISABLED")
    batch.delete_job_queue(jobQueue=queue)
    batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    batch.delete_compute_environment(computeEnvironment=environment)
    ecr, repository = instrument("ecr"), found["BatchECR"].partition("/")[2]
    ecr.delete_repository(repositoryName=repository)
    report = report_on(made)
    ecr.create_repository(repositoryName=repository)  # moto deletes no stack without it
    assert (report.status, report.runs, dict(report.jobs)) == ("CREATE_COMPLETE", 0, {})
    assert report.environments[environment.rpartition("/")[2]] == "gone"
    main = found["ComputeEnvironmentMainArn"].rpartition("/")[2]
    assert report.environments[main].startswith("ENABLED")
    assert report.images[repository] is None


def test_a_stack_that_does_not_exist():
    """This is how to see that a stack is gone."""
    done = run(COMMAND, "stack", "status", "--stackname", "Nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    said = f"rios-awsbatch: There is no stack Nowhere in {REGION}; create it"
    assert done.stderr.startswith(said)


def test_no_credentials_is_one_sentence(monkeypatch):
    """Without credentials the sentence says what could not be done, and how to get some."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(
        AWSBatchException, match=r"Cannot look at stack RIOS .*there are no AWS credentials"
    ):
        report_on(managed("RIOS"))
