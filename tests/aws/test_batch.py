"""Facts about AWS Batch."""

import pytest

from rios_plugin_awsbatch.aws.batch import (
    ENDED,
    STATES,
    UNFINISHED,
    advice_for,
    container_overrides,
    latest_definition,
    reason_of,
)


def registered(cloud, name):
    """Register a revision of a job definition, and return its number."""
    answer = cloud.batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={"image": "rios", "vcpus": 1, "memory": 100},
        retryStrategy={"attempts": 1},
    )
    return answer["revision"]


@pytest.fixture
def definition(cloud, request):
    """The name of a job definition with three revisions, the last of which is inactive."""
    name = request.node.name[:80]
    for _ in range(3):
        registered(cloud, name)
    cloud.batch.deregister_job_definition(jobDefinition=f"{name}:3")
    yield name
    for revision in (1, 2):
        cloud.batch.deregister_job_definition(jobDefinition=f"{name}:{revision}")


def test_a_name_is_its_latest_active_revision(cloud, definition):
    """As SubmitJob takes it."""
    assert latest_definition(cloud.batch, definition)["revision"] == 2


def test_a_revision_is_that_revision(cloud, definition):
    """By name and number, or by its ARN."""
    first = latest_definition(cloud.batch, f"{definition}:1")
    assert first["revision"] == 1
    assert latest_definition(cloud.batch, first["jobDefinitionArn"])["revision"] == 1


def test_an_arn_without_a_revision_is_the_latest(cloud, definition):
    """Batch takes that as well."""
    arn = latest_definition(cloud.batch, definition)["jobDefinitionArn"].rpartition(":")[0]
    assert latest_definition(cloud.batch, arn)["revision"] == 2


def test_what_is_inactive_or_unknown_is_none(cloud, definition):
    """No job can be submitted to it."""
    for name in (f"{definition}:3", f"{definition}:9", f"{definition}-other"):
        assert latest_definition(cloud.batch, name) is None


def test_the_states_are_those_before_the_end_and_the_ends():
    """Each of Batch's seven states is one of them."""
    assert set(UNFINISHED) | set(ENDED) == set(STATES)
    assert len(set(STATES)) == 7


def test_overrides_hold_what_is_given():
    """Nothing overrides the definition's vCPUs and memory unless it is asked for."""
    assert container_overrides({"A": "1"}, None, None) == {
        "environment": [{"name": "A", "value": "1"}]
    }
    assert container_overrides({}, 0.25, 512)["resourceRequirements"] == [
        {"type": "VCPU", "value": "0.25"},
        {"type": "MEMORY", "value": "512"},
    ]


def test_a_reason_has_all_that_batch_says():
    """The job's, the container's, and the exit code."""
    container = {"reason": "OutOfMemoryError", "exitCode": 137}
    job = {"statusReason": "Essential container in task exited", "container": container}
    assert reason_of(job) == "Essential container in task exited; OutOfMemoryError; exit code 137"
    assert reason_of({"container": {"exitCode": 0}}) == "exit code 0"
    assert reason_of({}) == "Batch gives no reason"


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("CannotPullContainerError: pull image manifest", "push it"),
        ("ResourceInitializationError: unable to pull secrets", "endpoints"),
        ("OutOfMemoryError: Container killed due to memory usage", "more"),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "instance types"),
        ("CannotStartContainerError: exec: executable file not found in $PATH", "entry point"),
        ("exit code 1 | exec /usr/bin/python3: exec format error", "architecture"),
        ("ModuleNotFoundError: No module named 'boto3'; exit code 1", "image build"),
        ("these credentials do not allow that (AccessDenied); exit code 1", "permission"),
        ("Essential container in task exited; exit code 137", "memory"),
        ("Host EC2 (instance i-1) terminated.", "machine was taken away"),
        ("something else", "log streams"),
    ],
)
def test_advice_follows_from_the_reason(reason, advice):
    """Batch has no codes for reasons."""
    assert advice in advice_for(reason)
