"""Parameters of the template that fit together, and those that are refused before AWS is asked."""

import pytest

from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.stack.parameters import checked_parameters
from tests.stack.support.template import PARAMETERS as TEMPLATE

DEFAULTS = {
    "VCPUS": "1",
    "MaxMemory": "3700",
    "MaxJobs": "32",
    "MainVCPUS": "0",
    "MainMemory": "0",
    "MaxVCPUS": "0",
    "ComputeType": "ec2",
    "InstanceTypes": "",
    "RunDays": "15",
    "JobTimeout": "604800",
    "VpcId": "",
    "SubnetIds": "",
    "VolumeSize": "50",
    "MainVolumeSize": "0",
    "EphemeralStorage": "21",
}


def test_vcpus_follow_from_jobs():
    """They are enough for all workers at once, and for one main script, unless they are given.

    On EC2, machines have as many as the workers' memory needs, where Batch may choose family c.
    """
    assert checked_parameters({}, DEFAULTS)["MaxVCPUS"] == "64"
    assert checked_parameters({"InstanceTypes": "m7i"}, DEFAULTS)["MaxVCPUS"] == "32"
    assert checked_parameters({"ComputeType": "fargate"}, DEFAULTS)["MaxVCPUS"] == "32"
    assert checked_parameters({"VCPUS": "2", "MainVCPUS": "4"}, DEFAULTS)["MaxVCPUS"] == "64"
    assert checked_parameters({"MaxJobs": "3", "MainVCPUS": "16"}, DEFAULTS)["MaxVCPUS"] == "16"
    assert checked_parameters({"MaxVCPUS": "5"}, DEFAULTS)["MaxVCPUS"] == "5"
    chosen = {**DEFAULTS, "MaxVCPUS": "5"}
    assert "MaxVCPUS" not in checked_parameters({"MaxJobs": "64"}, chosen), (
        "what was chosen once stays"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"MaxVCPUS": "2", "VCPUS": "8"},
            "--maxvcpus is 2, less than one worker or main script needs",
        ),
        ({"MaxVCPUS": "2", "MainVCPUS": "4"}, "--maxvcpus is 2, less"),
        (
            {"ComputeType": "fargate", "VCPUS": "3"},
            "A worker on Fargate cannot have 3 vCPUs.* Fargate has 0.25, 0.5, 1, 2, 4, 8, 16 vCPUs",
        ),
        ({"ComputeType": "fargate", "MaxMemory": "5000"}, "2048 to 8192 MiB in steps of 1024"),
        (
            {"ComputeType": "fargate", "VCPUS": "0.25", "MaxMemory": "1536"},
            "it has 512, 1024 or 2048 MiB",
        ),
        (
            {"ComputeType": "fargate-spot", "MainMemory": "1024"},
            "A main script on Fargate cannot have 1 vCPUs and 1024 MiB",
        ),
        ({"VCPUS": "0.5"}, "whole vCPUs, not 0.5"),
        ({"VpcId": "vpc-1"}, "together with its subnets"),
        ({"SubnetIds": "subnet-1"}, "together with its subnets"),
        (
            {"VpcId": "vpc-1", "SubnetIds": "subnet-1", "AZ1": "a"},
            "--az is for a VPC that the stack makes",
        ),
        (
            {"ComputeType": "fargate", "InstanceTypes": "c7g"},
            "--instancetypes has no effect on Fargate",
        ),
        (
            {"ComputeType": "fargate-spot", "VolumeSize": "90"},
            "--volumesize has no effect on Fargate",
        ),
        (
            {"ComputeType": "fargate", "MainVolumeSize": "90"},
            "--mainvolumesize has no effect on Fargate",
        ),
        ({"MainVolumeSize": "29"}, "--mainvolumesize must be 30 GiB or more, or 0"),
        ({"EphemeralStorage": "90"}, "--ephemeralstorage has no effect on EC2"),
        ({"ComputeType": "spot", "AssignPublicIp": "DISABLED"}, "--publicip has no effect on EC2"),
        ({"Fallback": "false"}, "--fallback has no effect on EC2 on demand"),
        (
            {"RunDays": "7"},
            "expire after 7 days, while a job may run for 7: give --rundays 8 or more",
        ),
        ({"RunDays": "14", "JobTimeout": "1209600"}, "may run for 14: give --rundays 15"),
    ],
)
def test_parameters_that_do_not_fit_together(given, told):
    """AWS would refuse these after minutes, or ignore them; here it is one sentence at once."""
    with pytest.raises(StackError, match=told):
        checked_parameters(given, DEFAULTS)


def test_what_is_not_asked_for_may_have_no_effect():
    """What a stack has from the time when it was on EC2 is no mistake; nor is a default."""
    before = {**DEFAULTS, "VolumeSize": "90", "InstanceTypes": "c7g"}
    given = {"ComputeType": "fargate", "InstanceTypes": ""}
    assert checked_parameters(given, before) == {**given, "MaxVCPUS": "32"}
    given = {"VpcId": "vpc-1", "SubnetIds": "subnet-1"}
    assert checked_parameters(given, {**DEFAULTS, "AZ1": "a"}) == {**given, "MaxVCPUS": "64"}


@pytest.mark.parametrize("memory", ["3700", "4000"])
def test_default_memories_are_fine_everywhere(memory):
    """The default, and RIOS's of 4000 MiB; on Fargate the template makes both 4096."""
    given = {"ComputeType": "fargate"}
    defaults = {**DEFAULTS, "MaxMemory": memory}
    assert checked_parameters(given, defaults) == {**given, "MaxVCPUS": "32"}


def test_objects_outlive_the_longest_job():
    """With the template's defaults, whatever time-out a job may have."""
    days = int(TEMPLATE["RunDays"]["Default"])
    longest = TEMPLATE["JobTimeout"]["MaxValue"]
    assert days * 24 * 3600 > longest
