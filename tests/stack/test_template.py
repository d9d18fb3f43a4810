"""The template as a file: its parameters, names and outputs, and the documents about it."""

import re

from rios_plugin_awsbatch.cli.acceptance import acceptance
from rios_plugin_awsbatch.cli.clean import clean
from rios_plugin_awsbatch.cli.stack import createbatch, deletebatch, stack
from rios_plugin_awsbatch.stack.template import template_text
from tests.stack.support.template import (
    DEFINITIONS,
    OUTPUTS,
    PARAMETERS,
    REPOSITORIES,
    ROOT,
    TEMPLATE,
    TEXT,
    parsed,
    properties,
    texts,
)

# The file


def test_fits_into_a_request():
    """CloudFormation takes a template of up to 51,200 bytes without a bucket to put it into.

    So it goes without its comments, which is all that is left out.
    """
    sent = template_text()
    assert len(sent.encode()) <= 51_200
    assert parsed(sent) == TEMPLATE


def test_has_no_account_region_or_partition_of_its_own():
    """It works in every partition and region; the one region that it names has two zones."""
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
    """RIOS's own parameters have the same names and defaults; zones are the region's.

    But for the memory: two workers with RIOS's 4000 MiB do not fit on a machine of 8 GiB.
    """
    known = {
        "ServiceName": "rios",
        "VCPUS": 1,
        "MaxMemory": 3700,
        "MaxJobs": 32,
        "AZ1": "",
        "AZ2": "",
        "AZ3": "",
    }
    assert {name: PARAMETERS[name]["Default"] for name in known} == known


# Names and outputs


def test_names_that_rios_s_users_know():
    """With the default service name, things are called as RIOS calls them."""
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
    """The default names are the stack RIOS's; another stack has them only with a service name."""
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


def test_the_documents_name_options_and_outputs_that_exist():
    """All outputs, and all options of the stack's commands, that the documents name exist."""
    words = "".join((ROOT / "docs" / name).read_text() for name in ("aws.md", "troubleshooting.md"))
    assert set(re.findall(r"`(Batch[A-Z]\w+)`", words)) <= {"BatchExecutor", *OUTPUTS}
    commands = [*stack.commands.values(), createbatch, deletebatch, acceptance, clean]
    options = [option for command in commands for option in command.params]
    known = {word for option in options for word in (*option.opts, *option.secondary_opts)}
    foreign = {"--help", "--aws", "--image", "--aws-service-name", "--stack-name", "--tag-filters"}
    foreign |= {"--policy-name", "--policy-document"}
    assert set(re.findall(r"--[a-z][a-z-]+", words)) <= known | foreign
