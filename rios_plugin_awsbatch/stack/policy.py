"""The IAM policies that people need, for one stack: which ones there are, and their text.

The texts are in the folder ``policies``. IAM has no variables for a stack's names, so the names are
put in here, by the rules of the template (its conditions Named, ServiceNamed and ECRNamed).
"""

import dataclasses
import json
import logging
import string
from pathlib import Path
from typing import Any, Final

from rios_plugin_awsbatch.aws.errors import AWS_ERRORS

from .managed import ManagedStack

__all__ = ["POLICIES", "PolicyNames", "boundary_name", "names_for", "policy_text"]

log = logging.getLogger(__name__)

# What each policy allows.
POLICIES: Final = {
    "main": "run and submit main scripts",
    "image": "submit scripts with another image",
    "push": "push images",
    "creator": "create, modify and delete the stack",
    "boundary": "what the roles of the stack may do at most",
}
_FOLDER: Final = Path(__file__).with_name("policies")
_ATTACHING: Final = "PoliciesOfRoles"
_RIOS: Final = "RIOS"
_DEFAULT_SERVICE: Final = "rios"
# CloudFormation shortens a long name of a stack in the names that it makes up, to an extent that it
# does not document. An IAM role's name has 64 characters, of which the longest name in the template
# and CloudFormation's own suffix leave this many.
_MADE_CHARACTERS: Final = 24


@dataclasses.dataclass(frozen=True)
class PolicyNames:
    """What the names in a stack's policies are made of.

    Attributes:
        stack: The stack's name.
        account: The account's number.
        region: The stack's region.
        partition: The region's partition, ``aws`` or ``aws-cn`` for instance.
        service: The stack's parameter ServiceName.
        repository: Its parameter ECRName.
        attached: ARNs of policies that the stack's roles may get besides its own.
    """

    stack: str
    account: str
    region: str
    partition: str
    service: str = _DEFAULT_SERVICE
    repository: str = ""
    attached: tuple[str, ...] = ()


def names_for(
    stack: ManagedStack, service: str | None, repository: str | None, attached: tuple[str, ...]
) -> PolicyNames:
    """Return what the names in a stack's policies are made of.

    Args:
        stack: The stack; it need not exist.
        service: Its parameter ServiceName; None for that of the stack, or the default.
        repository: Its parameter ECRName, likewise.
        attached: ARNs of policies that the stack's roles may get besides its own.

    Raises:
        StackError: No credentials, or AWS cannot be reached.
    """
    with stack.explained("print a policy for"):
        caller = stack.clients.sts.get_caller_identity()
    parameters = _parameters(stack)
    if service is None:
        service = parameters.get("ServiceName", _DEFAULT_SERVICE)
    if repository is None:
        repository = parameters.get("ECRName", "")
    return PolicyNames(
        stack.name,
        caller["Account"],
        stack.region,
        caller["Arn"].split(":")[1],
        service,
        repository,
        attached,
    )


def _parameters(stack: ManagedStack) -> dict[str, str]:
    """Return the stack's parameters; none if it does not exist, or may not be read."""
    try:
        found = stack.find()
    except AWS_ERRORS as error:
        log.debug("stack=%s cannot be read, so its names are the default: %s", stack.name, error)
        return {}
    listed = found.get("Parameters", []) if found else []
    return {one["ParameterKey"]: one["ParameterValue"] for one in listed}


def policy_text(kind: str, names: PolicyNames) -> str:
    """Return a policy as JSON.

    Args:
        kind: One of `POLICIES`.
        names: The stack's.
    """
    text = _FOLDER.joinpath(f"{kind}.json").read_text(encoding="utf-8")
    policy: Any = json.loads(string.Template(text).substitute(_values(names)))
    for statement in policy["Statement"]:
        if statement["Sid"] == _ATTACHING:
            statement["Condition"]["ArnLike"]["iam:PolicyARN"] += names.attached
    return json.dumps(policy, indent=2)


def _values(names: PolicyNames) -> dict[str, str]:
    given = names.service != _DEFAULT_SERVICE
    named = given or names.stack == _RIOS
    prefix = names.service if named else f"{names.stack}-"
    made = _made(names.stack)
    repositories = _repositories(names, named=named)
    return {
        "stack": names.stack,
        "account": names.account,
        "region": names.region,
        "partition": names.partition,
        "made": made,
        "runs": f"{names.service}Run-" if given else f"{names.stack}-run-",
        "bucket": f"{prefix}bucket{names.account}{names.region}"
        if named
        else f"{made.lower()}-batchbucket-*",
        "tasks_queue": f"{prefix}InQueue",
        "results_queue": f"{prefix}OutQueue",
        "given_queues": f"{prefix}*Queue",
        "job_queue": f"{prefix}JobQueue",
        "job_definition": f"{prefix}JobDefinition",
        "repository": repositories[0],
        "main_repository": repositories[1],
        "boundary": boundary_name(names.stack),
    }


def boundary_name(stack: str) -> str:
    """Return what the policy that bounds a stack's roles is to be called.

    Whoever creates the stack may write policies whose names begin with the stack's name and a
    hyphen. This is none of them.
    """
    return f"{stack}Boundary"


def _made(stack: str) -> str:
    """Return how the names begin that CloudFormation makes up."""
    return stack if len(stack) <= _MADE_CHARACTERS else f"{stack[:_MADE_CHARACTERS]}*"


def _repositories(names: PolicyNames, *, named: bool) -> tuple[str, str]:
    if names.repository:
        return names.repository, f"{names.repository}main"
    if named:
        return f"{names.service}ecr", f"{names.service}ecrmain"
    made = _made(names.stack).lower()
    return f"{made}-batchrepository-*", f"{made}-batchrepositorymain-*"
