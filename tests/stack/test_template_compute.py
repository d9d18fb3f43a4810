"""Compute environments, job queues and job definitions in the template."""

import pytest

from rios_plugin_awsbatch.stack.template import template_text
from tests.stack.support.template import (
    DEFINITIONS,
    ENVIRONMENTS,
    FALLBACKS,
    JOB_QUEUES,
    MAIN_DEFINITIONS,
    ON_EC2,
    ON_FARGATE,
    PARAMETERS,
    RESOURCES,
    TEMPLATE,
    chosen,
    parsed,
    properties,
)

LAUNCH_TEMPLATES = {
    "BatchComputeEnvironmentEC2": "BatchLaunchTemplate",
    "BatchComputeEnvironmentMainEC2": "BatchLaunchTemplateMain",
}


# The compute environments


def test_each_compute_type_has_its_environments():
    """Workers and main scripts have one each, on EC2 or on Fargate, and a queue to it.

    That of workers on Spot has a second one, which is on demand.
    """
    assert PARAMETERS["ComputeType"]["AllowedValues"] == ["ec2", "spot", "fargate", "fargate-spot"]
    assert {RESOURCES[name]["Condition"] for name in ON_EC2} == {"OnEC2"}
    assert {RESOURCES[name]["Condition"] for name in ON_FARGATE} == {"OnFargate"}
    for queue, ec2, fargate in zip(JOB_QUEUES, ON_EC2, ON_FARGATE, strict=True):
        first = properties(queue)["ComputeEnvironmentOrder"][0]
        assert first == _in_order(1, ec2, fargate)
    second = {"If": ["FallsBack", _in_order(2, *FALLBACKS), {"Ref": "AWS::NoValue"}]}
    orders = [properties(queue)["ComputeEnvironmentOrder"][1:] for queue in JOB_QUEUES]
    assert orders == [[second], []]


def _in_order(number, ec2, fargate):
    environment = {"If": ["OnEC2", {"Ref": ec2}, {"Ref": fargate}]}
    return {"Order": number, "ComputeEnvironment": environment}


def test_the_second_environment_is_the_first_one_on_demand():
    """It differs from that on Spot in what Spot needs, and exists only beside it."""
    for fallback, first, where in zip(
        FALLBACKS, ("BatchComputeEnvironmentEC2", ON_FARGATE[0]), ("EC2", "FARGATE"), strict=True
    ):
        differing = {"Type", "AllocationStrategy"}
        mine, its = (dict(properties(name)["ComputeResources"]) for name in (fallback, first))
        assert mine["Type"] == where
        assert mine.get("AllocationStrategy") in {None, "BEST_FIT_PROGRESSIVE"}
        for resources in (mine, its):
            for name in differing & resources.keys():
                del resources[name]
        assert mine == its
        rest = [{**properties(name), "ComputeResources": 0} for name in (fallback, first)]
        assert rest[0] == rest[1]
    spot = {"Condition": "OnSpot"}
    assert TEMPLATE["Conditions"]["FallsBack"]["And"][0] == spot
    assert [RESOURCES[name]["Condition"] for name in FALLBACKS] == [
        "FallsBackOnEC2",
        "FallsBackOnFargate",
    ]


def test_workers_may_be_on_spot_and_main_scripts_never():
    """A main script that loses its machine would start again, and lose its workers' results."""
    kinds = [properties(name)["ComputeResources"]["Type"] for name in ENVIRONMENTS]
    assert kinds == [
        {"If": ["OnSpot", "SPOT", "EC2"]},
        "EC2",
        {"If": ["OnSpot", "FARGATE_SPOT", "FARGATE"]},
        "FARGATE",
    ]


def test_environments_on_ec2_can_be_updated_in_place():
    """They have no service role, no name, and allocation strategies that allow updates."""
    for name in ENVIRONMENTS:
        assert not {"ServiceRole", "ComputeEnvironmentName"} & properties(name).keys()
        assert properties(name).get("ReplaceComputeEnvironment") is (
            False if name in ON_EC2 else None
        )
    workers, main = (properties(name)["ComputeResources"] for name in ON_EC2)
    assert workers["AllocationStrategy"]["If"] == [
        "OnSpot",
        "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "BEST_FIT_PROGRESSIVE",
    ]
    assert main["AllocationStrategy"] == "BEST_FIT_PROGRESSIVE"
    assert not {"SpotIamFleetRole"} & (workers.keys() | main.keys())


@pytest.mark.parametrize("name", ON_EC2)
def test_an_update_ends_no_job(name):
    """Jobs run on during an update, for as long as Batch allows in the partition."""
    policy = properties(name)["UpdatePolicy"]
    longest = {"If": ["LongUpdates", 7200, 360]}
    assert policy == {"TerminateJobsOnUpdate": False, "JobExecutionTimeoutMinutes": longest}


def test_idle_environments_have_no_machines():
    """Batch scales to nothing, and up to as many vCPUs as are asked for."""
    assert all(properties(name)["ComputeResources"]["MinvCpus"] == 0 for name in ON_EC2)
    for name in ENVIRONMENTS:
        most = properties(name)["ComputeResources"]["MaxvCpus"]
        assert most == {"If": ["MaxVCPUSGiven", {"Ref": "MaxVCPUS"}, {"Ref": "MaxJobs"}]}


@pytest.mark.parametrize("name", ON_EC2)
def test_instance_types_go_with_the_architecture(name):
    """Unless instance types are given, Batch chooses among those of the architecture."""
    given, types, chosen = properties(name)["ComputeResources"]["InstanceTypes"]["If"]
    assert (given, types) == ("AnyInstanceTypes", {"Ref": "InstanceTypes"})
    assert chosen == {"If": ["OnARM", ["default_arm64"], ["optimal"]]}


def test_fargate_has_the_architecture_of_the_image():
    """Fargate is told the architecture, the latest platform, and how much disk a job gets."""
    for name in DEFINITIONS:
        container = properties(name)["ContainerProperties"]
        architecture = {"If": ["OnARM", "ARM64", "X86_64"]}
        platform = {"OperatingSystemFamily": "LINUX", "CpuArchitecture": architecture}
        assert container["RuntimePlatform"]["If"][:2] == ["OnFargate", platform]
        assert container["FargatePlatformConfiguration"]["If"][:2] == [
            "OnFargate",
            {"PlatformVersion": "LATEST"},
        ]
        assert container["EphemeralStorage"]["If"][:2] == [
            "OnFargate",
            {"SizeInGiB": {"Ref": "EphemeralStorage"}},
        ]
        assert properties(name)["PlatformCapabilities"] == [{"If": ["OnFargate", "FARGATE", "EC2"]}]


@pytest.mark.parametrize("name", LAUNCH_TEMPLATES.values())
def test_instances_ask_for_tokens_and_have_encrypted_disks(name):
    """Launch templates require IMDSv2, of the machine alone, and encrypt a disk of that size."""
    data = properties(name)["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    (disk,) = data["BlockDeviceMappings"]
    size = {"Ref": "VolumeSize"}
    if name == "BatchLaunchTemplateMain":
        size = {"If": ["MainHasVolume", {"Ref": "MainVolumeSize"}, size]}
    wanted = {
        "VolumeType": "gp3",
        "Encrypted": True,
        "DeleteOnTermination": True,
        "VolumeSize": size,
    }
    assert (disk["DeviceName"], disk["Ebs"]) == ("/dev/xvda", wanted)


@pytest.mark.parametrize(("name", "template"), LAUNCH_TEMPLATES.items())
def test_a_changed_launch_template_is_used(name, template):
    """The environment names the template's version, and so changes with the template."""
    resources = properties(name)["ComputeResources"]
    assert resources["LaunchTemplate"]["LaunchTemplateId"] == {"Ref": template}
    assert resources["LaunchTemplate"]["Version"] == {"GetAtt": f"{template}.LatestVersionNumber"}
    assert resources["UpdateToLatestImageVersion"] is True


def test_machines_and_their_disks_have_the_stack_s_tags():
    """Batch hands on none of the environment's, so the template that is sent has them itself."""
    tags = {"team": 'maps: "all"', "Name": "mine", "empty": ""}
    sent = parsed(template_text(tags))["Resources"]
    own = {"Name": {"Ref": "AWS::StackName"}, "team": 'maps: "all"', "empty": ""}
    for name in (*ON_EC2, FALLBACKS[0]):
        assert sent[name]["Properties"]["ComputeResources"]["Tags"] == own
    for name in LAUNCH_TEMPLATES.values():
        (disk,) = sent[name]["Properties"]["LaunchTemplateData"]["TagSpecifications"]
        assert {pair["Key"]: pair["Value"] for pair in disk["Tags"]} == own
    assert parsed(template_text({})) == TEMPLATE


# Jobs


@pytest.mark.parametrize("queue", JOB_QUEUES)
def test_jobs_that_can_never_start_are_cancelled(queue):
    """A job that cannot start ends after a while; workers wait for machines as long as main."""
    actions = properties(queue)["JobStateTimeLimitActions"]
    ending = {
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    }
    if queue == "BatchProcessingJobQueueMain":
        ending.add("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")
    assert {action["Reason"] for action in actions} == ending
    assert all((action["State"], action["Action"]) == ("RUNNABLE", "CANCEL") for action in actions)
    assert all(600 <= action["MaxTimeSeconds"] <= 86_400 for action in actions)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_lost_machine_and_a_failed_pull_are_tried_again(name):
    """Batch retries after what the platform has failed to do, and after nothing else."""
    strategy = properties(name)["RetryStrategy"]
    for fargate, expected in {
        True: [
            {"OnStatusReason": "Your Spot Task was interrupted*"},
            {"OnStatusReason": "Task failed to start*"},
            {"OnStatusReason": "ResourceInitializationError*"},
            {"OnStatusReason": "CannotPull*"},
        ],
        False: [
            {"OnStatusReason": "Host EC2*"},
            {"OnStatusReason": "Task failed to start*"},
            {"OnReason": "AGENT*"},
            {"OnReason": "CannotPull*"},
        ],
    }.items():
        *retries, last = chosen(strategy["EvaluateOnExit"], OnFargate=fargate)
        assert retries == [{"Action": "RETRY", **rule} for rule in expected]
        assert last == {"Action": "EXIT", "OnReason": "*"}
    assert len(strategy["EvaluateOnExit"]) <= 5, "Batch takes five rules"
    assert strategy["Attempts"] == {"Ref": "Attempts"}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_an_init_process_passes_signals_on(name):
    """A process that has no handler yet ends on SIGTERM, and orphans are reaped."""
    parameters = properties(name)["ContainerProperties"]["LinuxParameters"]
    assert parameters == {"InitProcessEnabled": True}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_old_revisions_stay(name):
    """Jobs keep the definition they were submitted with; it has tags for tasks, and a timeout."""
    assert properties(name)["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}
    assert properties(name)["PropagateTags"] is True
    assert properties(name)["Timeout"] == {"AttemptDurationSeconds": {"Ref": "JobTimeout"}}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_definitions_say_what_they_need_in_the_way_that_fargate_takes(name):
    """vCPUs and memory are resource requirements, and the default of 3700 MiB becomes 4096."""
    container = properties(name)["ContainerProperties"]
    assert not {"Vcpus", "Memory", "Command", "Privileged"} & container.keys()
    assert [one["Type"] for one in container["ResourceRequirements"]] == ["VCPU", "MEMORY"]
    assert {"If": ["MemoryForFargate", "4096", {"Ref": "MaxMemory"}]} in (
        container["ResourceRequirements"][1]["Value"],
        container["ResourceRequirements"][1]["Value"]["If"][2],
    )


def test_each_definition_has_its_role():
    """Workers and main scripts have roles of their own; pulling and logging is another's."""
    roles = [properties(name)["ContainerProperties"]["JobRoleArn"] for name in DEFINITIONS]
    assert roles == [{"GetAtt": "BatchWorkerRole.Arn"}, *[{"GetAtt": "BatchMainRole.Arn"}] * 2]
    for name in DEFINITIONS:
        assert properties(name)["ContainerProperties"]["ExecutionRoleArn"] == {
            "GetAtt": "BatchExecutionRole.Arn"
        }


@pytest.mark.parametrize("name", DEFINITIONS)
def test_logs_go_where_they_expire(name):
    """Jobs log to the stack's group, which keeps logs for as many days as are asked for."""
    log = properties(name)["ContainerProperties"]["LogConfiguration"]
    assert (log["LogDriver"], log["Options"]["awslogs-group"]) == (
        "awslogs",
        {"Ref": "BatchLogGroup"},
    )
    assert properties("BatchLogGroup")["RetentionInDays"] == {"Ref": "LogDays"}


@pytest.mark.parametrize("name", MAIN_DEFINITIONS)
def test_main_makes_its_own_queues(name):
    """Its environment names stack and region but no queues, with which it would make none."""
    container = properties(name)["ContainerProperties"]
    names = {pair["Name"] for pair in container["Environment"]}
    assert names == {"AWS_DEFAULT_REGION", "RIOS_AWSBATCH_REGION", "RIOS_AWSBATCH_STACK"}
