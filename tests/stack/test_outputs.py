"""The outputs of a stack, which runs, submissions and the image need."""

import subprocess
import sys
import uuid

import pytest

import rios_plugin_awsbatch
from rios_plugin_awsbatch import AWSBatchException, BatchExecutor, getStackOutputs
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import StackOutputs, outputs_record, read_outputs
from tests.support.helpers import without_aws

PATIENCE = 120
TEMPLATE = """
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {BucketName: %s}
Outputs:
  BatchBucket: {Value: %s}
"""


@pytest.fixture
def foreign_stack(cloud):
    """A stack in the same region that was not made from this package's template."""
    name = f"other-{uuid.uuid4().hex[:8]}"
    cloud.cloudformation.create_stack(StackName=name, TemplateBody=TEMPLATE % (name, name))
    yield name
    cloud.cloudformation.delete_stack(StackName=name)


def first_call(**overrides):
    """Return the error with which the first call of an executor is refused."""
    with BatchExecutor(1, **overrides) as executor, pytest.raises(AWSBatchException) as caught:
        executor.submit(abs, -1).result(PATIENCE)
    assert "\n" not in str(caught.value)
    return caught.value


def test_all_outputs_are_returned(cloud):
    """The function returns a dict of all outputs, as RIOS's own function does."""
    assert getStackOutputs() == cloud.outputs
    assert rios_plugin_awsbatch.getStackOutputs is getStackOutputs
    expected = {"BatchBucket", "BatchInQueue", "BatchOutQueue", "BatchProcessingJobQueueName"}
    assert expected <= getStackOutputs().keys()


def test_the_record_has_names_and_numbers(cloud):
    """Names are as they are, the number is a number, and queues are named once each."""
    outputs = outputs_record(getStackOutputs(), load(Settings))
    assert (outputs.name, outputs.region) == ("RIOS", "ap-southeast-2")
    assert (outputs.bucket, outputs.job_queue) == (cloud.bucket, cloud.job_queue)
    assert outputs.job_definition == cloud.outputs["BatchProcessingJobDefinitionName"]
    assert outputs.max_jobs == 3
    assert outputs.queues == ("riosJobQueueMain", "riosJobQueue")
    assert str(outputs) == "stack RIOS in ap-southeast-2"
    assert StackOutputs("A", "B", job_queue="q", main_queue="q").queues == ("q",)


def test_settings_replace_outputs(cloud):
    """What the settings name is used in place of what the stack has."""
    outputs = outputs_record(cloud.outputs, load(Settings, bucket="mine", job_queue="other"))
    assert (outputs.bucket, outputs.job_queue) == ("mine", "other")
    assert outputs.job_definition == cloud.outputs["BatchProcessingJobDefinitionName"]


def test_a_stack_that_does_not_exist_is_named(owner, monkeypatch):
    """The error names stack and region, and the variables that name another stack."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    with pytest.raises(StackError) as caught:
        getStackOutputs()
    assert str(caught.value) == (
        "There is no stack Nowhere in ap-southeast-2; create it, or name another one in "
        "RIOS_AWSBATCH_STACK and RIOS_AWSBATCH_REGION."
    )
    assert str(first_call()) == str(caught.value)
    assert not owner.left()


@pytest.mark.parametrize("region", ["eu-central-1", "Mars 1"])
def test_a_stack_in_another_region_is_not_found(cloud, region):
    """The stack is looked for in the region that the settings name, even if AWS has no such one."""
    error = first_call(region=region)
    assert isinstance(error, StackError)
    assert f"stack RIOS in {region}" in str(error)
    assert not cloud.left()


def test_a_stack_without_the_outputs_is_refused(owner, foreign_stack):
    """If a stack of that name is somebody else's, the error names each output that is missing."""
    error = first_call(stack=foreign_stack)
    assert isinstance(error, StackError)
    for name in ("BatchProcessingJobQueueName", "BatchProcessingJobDefinitionName", "BatchMaxJobs"):
        assert name in str(error)
    assert "BatchBucket" not in str(error)
    assert f"stack {foreign_stack} in ap-southeast-2 has no output" in str(error)
    assert not owner.left()


def test_an_output_that_is_not_a_number_is_refused(cloud):
    """The outputs of a stack may come from a template that somebody has edited."""
    outputs = {**cloud.outputs, "BatchMaxJobs": "many"}
    with pytest.raises(
        StackError, match="BatchMaxJobs of stack RIOS in ap-southeast-2 is 'many', not a number"
    ):
        outputs_record(outputs, load(Settings))


def test_without_credentials_there_is_one_sentence(cloud):
    """There is no traceback of boto3's and no wait for a metadata service."""
    code = (
        "from rios_plugin_awsbatch import *\n"
        "for use in (getStackOutputs, lambda: BatchExecutor(1).submit(abs, -1)):\n"
        "    try: use()\n"
        "    except AWSBatchException as error: print(type(error).__name__, error)\n"
    )
    there = {"AWS_ENDPOINT_URL": cloud.aws.endpoint, "AWS_REGION": "us-east-1"}
    environment = {**without_aws(), **there}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    told = "StackError Cannot read stack RIOS in us-east-1: there are no AWS credentials; run "
    lines = ended.stdout.splitlines()
    assert [line.startswith(told) for line in lines] == [True, True]
    assert ended.stderr == ""


def test_an_aws_that_cannot_be_reached_is_told(cloud, monkeypatch):
    """Without a network the error says so, with the address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(
        StackError, match=r"Cannot read stack RIOS .*AWS cannot be reached .*127\.0\.0\.1:9"
    ):
        read_outputs(Clients("ap-southeast-2"), "RIOS")
    assert cloud.bucket
