"""The template, read as it stands: what it promises to AWS, where an emulator would not notice if it did not."""

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "stack" / "batch.yaml").read_text()


class _Loader(yaml.SafeLoader):
    """Reads !Ref, !Sub and the like as {"Ref": ...}, {"Sub": ...}."""


def _construct(loader, suffix, node):
    kinds = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: lambda it: loader.construct_sequence(it, deep=True),
    }
    return {suffix: kinds[type(node)](node)}


_Loader.add_multi_constructor("!", _construct)
TEMPLATE = yaml.load(TEXT, Loader=_Loader)
RESOURCES, PARAMETERS, OUTPUTS = (TEMPLATE[part] for part in ("Resources", "Parameters", "Outputs"))
MAIN_DEFINITIONS = ("BatchProcessingJobDefinitionMain", "BatchProcessingJobDefinitionMainScript")
DEFINITIONS = ("BatchProcessingJobDefinition", *MAIN_DEFINITIONS)
ON_EC2 = ("BatchComputeEnvironmentEC2", "BatchComputeEnvironmentMainEC2")
ON_FARGATE = ("BatchComputeEnvironmentFargate", "BatchComputeEnvironmentMainFargate")
ENVIRONMENTS = (*ON_EC2, *ON_FARGATE)
TEMPLATES = {
    "BatchComputeEnvironmentEC2": "BatchLaunchTemplate",
    "BatchComputeEnvironmentMainEC2": "BatchLaunchTemplateMain",
}
JOB_QUEUES = ("BatchProcessingJobQueue", "BatchProcessingJobQueueMain")
REPOSITORIES = ("BatchRepository", "BatchRepositoryMain")
QUEUES = ("BatchInQueue", "BatchOutQueue")


def properties(name):
    return RESOURCES[name]["Properties"]


def of_type(kind):
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def statements(name):
    return {
        statement["Sid"]: statement for statement in properties(name)["PolicyDocument"]["Statement"]
    }


def texts(node):
    """Return every string within a node."""
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts(value)]
    if isinstance(node, list):
        return [text for value in node for text in texts(value)]
    return [node] if isinstance(node, str) else []


# The file


def test_fits_into_a_request():
    """CloudFormation takes a template of up to 51,200 bytes without a bucket to put it into."""
    assert len(TEXT.encode()) <= 51_200


def test_has_no_account_region_or_partition_of_its_own():
    """The template works in every partition and region: the only region it names is the one with two zones."""
    assert "arn:aws:" not in TEXT
    assert set(re.findall(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b", TEXT)) == {"us-west-1"}
    assert "amazonaws.com" not in TEXT.replace("ecs-tasks.amazonaws.com", "").replace(
        "com.amazonaws.${AWS::Region}", ""
    )


def test_every_parameter_has_a_default_and_a_description():
    """A stack can be created from the console without an answer to any question."""
    for name, parameter in PARAMETERS.items():
        assert "Default" in parameter, name
        assert parameter["Description"], name


def test_parameters_that_rios_s_users_know_are_there():
    """The parameters of RIOS's own template have the same names and defaults; zones are the region's."""
    known = {
        "ServiceName": "rios",
        "VCPUS": 1,
        "MaxMemory": 4000,
        "MaxJobs": 32,
        "AZ1": "",
        "AZ2": "",
        "AZ3": "",
    }
    assert {name: PARAMETERS[name]["Default"] for name in known} == known


# The network


def test_zones_are_the_region_s_unless_they_are_given():
    """Three subnets are in the first three zones of the region, or in those that are asked for."""
    for index in range(3):
        zone = properties(f"BatchSubnet{index + 1}")["AvailabilityZone"]
        given, wanted, otherwise = zone["If"]
        assert (given, wanted) == (f"AZ{index + 1}Given", {"Ref": f"AZ{index + 1}"})
        assert otherwise == {"Select": [index, {"GetAZs": ""}]}


def test_the_third_zone_is_left_out_where_there_are_two():
    """us-west-1 shows most accounts two zones; there the third subnet is made only if a third zone is given."""
    needs_vpc, where = TEMPLATE["Conditions"]["ThirdZone"]["And"]
    assert needs_vpc == {"Condition": "MakesVPC"}
    assert where["Or"][0] == {"Condition": "AZ3Given"}
    assert where["Or"][1] == {"Not": [{"Equals": [{"Ref": "AWS::Region"}, "us-west-1"]}]}


def test_an_idle_network_costs_nothing():
    """There is no NAT gateway and no interface endpoint; S3 is reached through a gateway endpoint, which is free."""
    assert not of_type("AWS::EC2::NatGateway")
    (endpoint,) = of_type("AWS::EC2::VPCEndpoint").values()
    assert endpoint["Properties"]["VpcEndpointType"] == "Gateway"
    assert endpoint["Properties"]["RouteTableIds"] == [{"Ref": "BatchRoutes"}]


def test_jobs_reach_the_internet_without_a_gateway_that_costs():
    """Instances get public addresses from their subnets, and Fargate's jobs by the job definition."""
    assert all(properties(f"BatchSubnet{n}")["MapPublicIpOnLaunch"] is True for n in (1, 2, 3))
    assert properties("BatchInternetRoute")["GatewayId"] == {"Ref": "BatchInternetGateway"}
    for name in DEFINITIONS:
        network = properties(name)["ContainerProperties"]["NetworkConfiguration"]["If"]
        assert network[:2] == ["OnFargate", {"AssignPublicIp": {"Ref": "AssignPublicIp"}}]
    assert PARAMETERS["AssignPublicIp"]["Default"] == "ENABLED"


def test_nothing_can_come_in():
    """The security group has no inbound rule, and no other resource adds one."""
    assert "SecurityGroupIngress" not in properties("BatchSecurityGroup")
    assert not of_type("AWS::EC2::SecurityGroupIngress")


def test_a_user_s_vpc_takes_the_place_of_the_stack_s():
    """With VpcId, none of the network is made but the security group, and jobs run in SubnetIds, which are needed."""
    network = {
        n
        for n, r in RESOURCES.items()
        if r["Type"].startswith("AWS::EC2::") and "LaunchTemplate" not in n
    }
    assert all(
        RESOURCES[n].get("Condition") in ("MakesVPC", "ThirdZone")
        for n in network - {"BatchSecurityGroup"}
    )
    assert properties("BatchSecurityGroup")["VpcId"]["If"] == [
        "MakesVPC",
        {"Ref": "BatchVPC"},
        {"Ref": "VpcId"},
    ]
    for name in ENVIRONMENTS:
        assert properties(name)["ComputeResources"]["Subnets"]["If"][2] == {"Ref": "SubnetIds"}
    assert TEMPLATE["Rules"]["SubnetsAreGivenWithTheirVPC"]["Assertions"][0]["Assert"]


def test_the_gateway_goes_after_what_uses_it():
    """AWS does not detach a gateway from a VPC with public addresses in use, so subnets go before it."""
    assert all(
        RESOURCES[f"BatchSubnet{n}"]["DependsOn"] == "BatchInternetAttachment" for n in (1, 2, 3)
    )


# The compute environments


def test_each_compute_type_has_its_environments():
    """Workers and main scripts have one each, on EC2 or on Fargate, and a queue to it."""
    assert PARAMETERS["ComputeType"]["AllowedValues"] == ["ec2", "spot", "fargate", "fargate-spot"]
    assert {RESOURCES[name]["Condition"] for name in ON_EC2} == {"OnEC2"}
    assert {RESOURCES[name]["Condition"] for name in ON_FARGATE} == {"OnFargate"}
    for queue, ec2, fargate in zip(JOB_QUEUES, ON_EC2, ON_FARGATE, strict=True):
        order = properties(queue)["ComputeEnvironmentOrder"]
        assert order == [
            {"Order": 1, "ComputeEnvironment": {"If": ["OnEC2", {"Ref": ec2}, {"Ref": fargate}]}}
        ]


def test_workers_may_be_on_spot_and_main_scripts_never():
    """A main script that loses its machine would begin again, with everything that its workers have done."""
    kinds = [properties(name)["ComputeResources"]["Type"] for name in ENVIRONMENTS]
    assert kinds == [
        {"If": ["OnSpot", "SPOT", "EC2"]},
        "EC2",
        {"If": ["OnSpot", "FARGATE_SPOT", "FARGATE"]},
        "FARGATE",
    ]


def test_environments_on_ec2_can_be_updated_in_place():
    """No service role, no name, allocation strategies that allow it, and ReplaceComputeEnvironment off."""
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
    """Jobs that run while the environment is updated go on for the longest time that Batch allows in the partition."""
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


@pytest.mark.parametrize("name", TEMPLATES.values())
def test_instances_ask_for_tokens_and_have_encrypted_disks(name):
    """The launch templates require IMDSv2, within reach of containers, and encrypt a gp3 disk of the wanted size."""
    data = properties(name)["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
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


@pytest.mark.parametrize(("name", "template"), TEMPLATES.items())
def test_a_changed_launch_template_is_used(name, template):
    """The environment names the template's version, so that a change of it is a change of the environment."""
    resources = properties(name)["ComputeResources"]
    assert resources["LaunchTemplate"]["LaunchTemplateId"] == {"Ref": template}
    assert resources["LaunchTemplate"]["Version"] == {"GetAtt": f"{template}.LatestVersionNumber"}
    assert resources["UpdateToLatestImageVersion"] is True


# Jobs


@pytest.mark.parametrize("queue", JOB_QUEUES)
def test_jobs_that_can_never_start_are_cancelled(queue):
    """Each reason for which Batch can say that a job is stuck ends the job after a while."""
    actions = properties(queue)["JobStateTimeLimitActions"]
    assert {action["Reason"] for action in actions} == {
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    }
    assert all((action["State"], action["Action"]) == ("RUNNABLE", "CANCEL") for action in actions)
    assert all(600 <= action["MaxTimeSeconds"] <= 86_400 for action in actions)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_lost_machine_and_a_failed_pull_are_tried_again(name):
    """Spot reclaims on EC2 and Fargate, and image pulls, are retried; whatever else ends a job, ends it."""
    strategy = properties(name)["RetryStrategy"]
    *retries, last = strategy["EvaluateOnExit"]
    assert all(rule["Action"] == "RETRY" for rule in retries)
    assert [{kind: rule[kind] for kind in rule if kind != "Action"} for rule in retries] == [
        {"OnStatusReason": {"If": ["OnFargate", "Your Spot Task was interrupted*", "Host EC2*"]}},
        {"OnStatusReason": "CannotPull*"},
        {"OnReason": "CannotPull*"},
        {"OnStatusReason": "ResourceInitializationError*"},
    ]
    assert last == {"Action": "EXIT", "OnReason": "*"}
    assert len(strategy["EvaluateOnExit"]) <= 5, "Batch takes five rules"
    assert strategy["Attempts"] == {"Ref": "Attempts"}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_old_revisions_stay(name):
    """Jobs that were submitted before a change still have their definition; tags reach their tasks; time is limited."""
    assert properties(name)["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}
    assert properties(name)["PropagateTags"] is True
    assert properties(name)["Timeout"] == {"AttemptDurationSeconds": {"Ref": "JobTimeout"}}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_definitions_say_what_they_need_in_the_way_that_fargate_takes(name):
    """vCPUs and memory are resourceRequirements, and RIOS's default of 4000 MiB is 4096 on Fargate."""
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
    """Main's environment names stack and region, and no queues: with those it would not make its own."""
    container = properties(name)["ContainerProperties"]
    names = {pair["Name"] for pair in container["Environment"]}
    assert names == {"AWS_DEFAULT_REGION", "RIOS_AWSBATCH_REGION", "RIOS_AWSBATCH_STACK"}


# Permissions


def test_workers_may_use_payloads_and_messages_and_nothing_else():
    """Workers read and write objects of runs, read what was submitted, and use queues of this stack's runs."""
    policy = statements("BatchWorkerPolicy")
    assert policy.keys() == {"Payloads", "Submissions", "MissingIsNotDenied", "Messages"}
    assert policy["Payloads"]["Resource"] == {"Sub": "${BatchBucket.Arn}/runs/*"}
    assert policy["Submissions"]["Resource"] == {"Sub": "${BatchBucket.Arn}/submissions/*"}
    assert texts(policy["Submissions"]["Action"]) == ["s3:GetObject"]
    actions = {action for one in policy.values() for action in texts(one["Action"])}
    assert not any("*" in action for action in actions)
    assert not actions & {"s3:DeleteObject", "sqs:CreateQueue", "sqs:DeleteQueue"}
    assert not any(action.startswith(("batch:", "iam:")) for action in actions)
    pattern = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-run-*"
    assert {"Sub": pattern} in policy["Messages"]["Resource"]


def test_main_may_start_workers_and_end_them():
    """Main submits jobs, of this stack's definitions and to its queues only, and watches and ends jobs."""
    policy = statements("BatchMainPolicy")
    workers, main, definitions = policy["Jobs"]["Resource"]
    assert [workers, main] == [{"Ref": name} for name in JOB_QUEUES]
    pattern, values = definitions["Sub"]
    assert pattern.endswith(":job-definition/${Prefix}JobDefinition*")
    assert values["Prefix"] == {
        "If": ["Named", {"Ref": "ServiceName"}, {"Sub": "${AWS::StackName}-"}]
    }
    assert policy["Jobs"]["Action"] == "batch:SubmitJob"
    assert set(policy["QueuesOfRuns"]["Action"]) == {"sqs:CreateQueue", "sqs:DeleteQueue"}
    everywhere = {name for name, one in policy.items() if one["Resource"] == "*"}
    assert everywhere == {"Watching"}, "AWS knows no resources of describing and listing"
    assert all(
        action.partition(":")[2].startswith(("Describe", "List"))
        for action in policy["Watching"]["Action"]
    )


def test_main_reads_the_outputs_by_the_stacks_name():
    """DescribeStacks by name is allowed on the ARN with any id; the exact one is that of a call by id."""
    pattern, values = statements("BatchMainPolicy")["Outputs"]["Resource"]["Sub"]
    assert pattern.endswith(":stack/${Name}/*")
    assert values == {"Name": {"Ref": "AWS::StackName"}}


def test_jobs_can_be_given_one_more_policy():
    """Both roles take the policy that a user gives, for buckets of the user's own."""
    for name in ("BatchWorkerRole", "BatchMainRole"):
        extra = {"If": ["ExtraPolicy", {"Ref": "ExtraPolicyArn"}, {"Ref": "AWS::NoValue"}]}
        assert extra in properties(name)["ManagedPolicyArns"]


def test_roles_have_no_names():
    """CAPABILITY_IAM is enough, and a second stack's roles do not collide."""
    assert not [name for name in of_type("AWS::IAM::Role") if "RoleName" in properties(name)]
    assert not [
        name
        for name in of_type("AWS::IAM::ManagedPolicy")
        if "ManagedPolicyName" in properties(name)
    ]


# What is kept


def test_the_bucket_is_private_and_encrypted():
    """Objects are encrypted and never public, and are read and written over TLS only."""
    bucket = properties("BatchBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0][
        "ServerSideEncryptionByDefault"
    ]
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    only_tls = statements("BatchBucketPolicy")["OnlyTLS"]
    assert (only_tls["Effect"], only_tls["Action"], only_tls["Principal"]) == ("Deny", "s3:*", "*")
    assert only_tls["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert len(only_tls["Resource"]) == 2


def test_the_bucket_forgets():
    """What runs and submissions left expires, and uploads that were not finished do; the rest of the bucket stays."""
    *left, uploads = properties("BatchBucket")["LifecycleConfiguration"]["Rules"]
    assert [rule["Prefix"] for rule in left] == ["runs/", "submissions/"]
    for rule in left:
        assert (rule["ExpirationInDays"], rule["Status"]) == ({"Ref": "RunDays"}, "Enabled")
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert uploads["Status"] == "Enabled"


@pytest.mark.parametrize("name", REPOSITORIES)
def test_images_are_scanned_and_expire(name):
    """Images are scanned on push; what a newer latest has replaced goes after a day; the repository goes with all."""
    assert properties(name)["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(properties(name)["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert (rule["selection"]["tagStatus"], rule["selection"]["countNumber"]) == ("untagged", 1)
    assert rule["action"] == {"type": "expire"}
    assert properties(name)["EmptyOnDelete"] is True


@pytest.mark.parametrize("name", QUEUES)
def test_queues_are_encrypted_and_take_large_messages(name):
    """The given queues are as those that runs make: encrypted, 1 MiB a message, kept for two weeks, TLS only."""
    queue = properties(name)
    assert (queue["SqsManagedSseEnabled"], queue["MaximumMessageSize"]) == (True, 1024 * 1024)
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert {"Ref": name} in properties("BatchQueuePolicy")["Queues"]


# Names and outputs


def test_names_that_rios_s_users_know():
    """With the default service name, queue, definitions and repositories are called as RIOS's are."""
    known = {
        "BatchProcessingJobQueue": ("JobQueueName", "riosJobQueue"),
        "BatchProcessingJobQueueMain": ("JobQueueName", "riosJobQueueMain"),
        "BatchProcessingJobDefinition": ("JobDefinitionName", "riosJobDefinition"),
        "BatchProcessingJobDefinitionMain": ("JobDefinitionName", "riosJobDefinitionMain"),
        "BatchProcessingJobDefinitionMainScript": (
            "JobDefinitionName",
            "riosJobDefinitionMainScript",
        ),
        "BatchInQueue": ("QueueName", "riosInQueue"),
        "BatchOutQueue": ("QueueName", "riosOutQueue"),
    }
    for name, (prop, text) in known.items():
        condition, named, otherwise = properties(name)[prop]["If"]
        assert (condition, named["Sub"].replace("${ServiceName}", "rios")) == ("Named", text)
        # With a hyphen, so that the names of a stack called "rios" are not those of the stack RIOS.
        assert otherwise["Sub"] == named["Sub"].replace("${ServiceName}", "${AWS::StackName}-")
    assert PARAMETERS["ServiceName"]["AllowedPattern"] == "[a-z]([a-z0-9-]{0,18}[a-z0-9])?"
    for name, text in zip(REPOSITORIES, ("riosecr", "riosecrmain"), strict=True):
        named = properties(name)["RepositoryName"]["If"][2]
        assert named["If"][1]["Sub"].replace("${ServiceName}", "rios") == text
        assert named["If"][2] == {"Ref": "AWS::NoValue"}


def test_only_one_stack_takes_the_default_names():
    """The default names are the stack RIOS's; another stack has them only if it is given a service name."""
    rios, given = TEMPLATE["Conditions"]["Named"]["Or"]
    assert rios == {"Equals": [{"Ref": "AWS::StackName"}, "RIOS"]}
    assert given == {"Not": [{"Equals": [{"Ref": "ServiceName"}, "rios"]}]}


def test_outputs_that_rios_s_users_know():
    """Every output of RIOS's own templates is there, whatever the parameters are."""
    known = {
        "VPC",
        "ComputeEnvironmentArn",
        "ComputeEnvironmentMainArn",
        "BatchMaxVCPUS",
        "BatchECR",
        "BatchECRMain",
        "BatchInQueue",
        "BatchOutQueue",
    }
    known |= {"BatchBucket", "BatchMaxJobs", "BatchVCPUS"}
    known |= {
        f"{name}{what}"
        for name in ("BatchProcessingJobQueue", *DEFINITIONS[:2])
        for what in ("Name", "Arn")
    }
    known |= {"BatchProcessingJobQueueNameMain", "BatchProcessingJobQueueMainArn"}
    assert known <= OUTPUTS.keys()
    assert not [name for name, output in OUTPUTS.items() if "Condition" in output]


def test_outputs_of_names_follow_the_things():
    """Names are read from the ARNs of what was made, not put together a second time."""
    outputs = {name: f"{name}Name" for name in ("BatchProcessingJobQueue", *DEFINITIONS)}
    outputs["BatchProcessingJobQueueMain"] = "BatchProcessingJobQueueNameMain"
    for name, output in outputs.items():
        assert name in texts(OUTPUTS[output]["Value"])


# The documents


def test_the_policy_to_paste_covers_what_the_template_makes():
    """The policy in docs/aws.md is one that AWS takes, and has actions for each service that the template uses."""
    (text,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "aws.md").read_text(), re.DOTALL)
    policy = json.loads(text)
    assert len(json.dumps(policy, separators=(",", ":"))) <= 6144, "a managed policy's size"
    services = {
        action.partition(":")[0] for one in policy["Statement"] for action in texts([one["Action"]])
    }
    used = {resource["Type"].split("::")[1].lower() for resource in RESOURCES.values()}
    assert used | {"cloudformation"} <= services


def test_the_documents_name_options_and_outputs_that_exist():
    """Options of the stack's commands and outputs that the documents name are there."""
    words = "".join((ROOT / "docs" / name).read_text() for name in ("aws.md", "troubleshooting.md"))
    assert set(re.findall(r"`(Batch[A-Z]\w+)`", words)) <= OUTPUTS.keys()
    commands = ROOT / "rios_plugin_awsbatch" / "cli"
    options = "".join((commands / f"{name}.py").read_text() for name in ("stack", "stack_options"))
    known = set(re.findall(r'"(--[a-z-]+)"', options))
    foreign = {"--help", "--aws", "--image", "--aws-service-name", "--stack-name", "--tag-filters"}
    assert set(re.findall(r"--[a-z][a-z-]+", words)) <= known | foreign


def test_the_policy_for_another_image_is_one_that_aws_takes():
    """docs/image.md allows copies of the main definition, by the names that they get, and the roles that it has."""
    (text,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "image.md").read_text(), re.DOTALL)
    copies, roles = json.loads(text)["Statement"]
    assert copies["Resource"].endswith(":job-definition/riosJobDefinitionMain-*")
    assert {
        role.rpartition("RIOS-")[2].removesuffix("-*") for role in roles["Resource"]
    } <= RESOURCES.keys()
