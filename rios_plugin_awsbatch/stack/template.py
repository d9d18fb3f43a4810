"""The template, and what CloudFormation is given with it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, TagTypeDef

__all__ = [
    "DESCRIPTION",
    "RIOS_DESCRIPTION",
    "default_parameters",
    "parameter_list",
    "tag_list",
    "template_text",
]

# A stack's description is that of the template it was made from.
DESCRIPTION: Final = "RIOS on AWS Batch, by rios-plugin-awsbatch"
RIOS_DESCRIPTION: Final = "RIOS with AWS Batch using CloudFormation"
# Lines that are comments only. The first line of a script within, "#!/bin/bash", is none.
_MACHINE_TAGS: Final = re.compile(r"^( {8}Tags: \{Name: !Ref 'AWS::StackName')\}", re.MULTILINE)
_DISK_TAGS: Final = re.compile(
    r"^( +- \{ResourceType: volume, Tags: \[\{Key: Name, Value: !Ref 'AWS::StackName'\})\]\}",
    re.MULTILINE,
)
_COMMENT: Final = re.compile(r"^ *#(?: .*)?\n", re.MULTILINE)


def template_text(tags: Mapping[str, str] | None = None) -> str:
    """Return the template, without its comments.

    CloudFormation takes 51,200 bytes in a request:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html

    Args:
        tags: The stack's tags, for its machines and their disks: CloudFormation tags the
            environments, whose tags Batch does not hand on.
            https://docs.aws.amazon.com/batch/latest/userguide/tag-resources.html
    """
    text = Path(__file__).with_name("batch.yaml").read_text(encoding="utf-8")
    more = {key: value for key, value in (tags or {}).items() if key != "Name"}
    pairs = "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in more.items())
    listed = "".join(
        f", {{Key: {json.dumps(key)}, Value: {json.dumps(value)}}}" for key, value in more.items()
    )
    text = _MACHINE_TAGS.sub(lambda found: f"{found[1]}{pairs}}}", text)
    text = _DISK_TAGS.sub(lambda found: f"{found[1]}{listed}]}}", text)
    return _COMMENT.sub("", text)


def default_parameters(cloudformation: "CloudFormationClient", template: str) -> dict[str, str]:
    """Return the default of each parameter of a template; empty if it has none."""
    summary = cloudformation.get_template_summary(TemplateBody=template)
    return {one["ParameterKey"]: str(one.get("DefaultValue", "")) for one in summary["Parameters"]}


def parameter_list(parameters: Mapping[str, str]) -> "list[ParameterTypeDef]":
    """Return parameters as CloudFormation takes them."""
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


def tag_list(tags: Mapping[str, str]) -> "list[TagTypeDef]":
    """Return tags as CloudFormation takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
