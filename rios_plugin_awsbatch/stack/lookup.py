"""Whether a stack, or something in it, exists."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import botocore.exceptions

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import error_code, is_missing_stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

__all__ = ["find_stack", "skipped_if_missing"]


def find_stack(clients: Clients, name: str) -> "StackTypeDef | None":
    """Return CloudFormation's description of a stack; None if there is no such stack.

    Args:
        clients: The AWS clients, of the stack's region.
        name: The stack's name.
    """
    try:
        found = clients.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return found[0] if found else None
    except botocore.exceptions.ClientError as error:
        if is_missing_stack(error):
            return None
        raise


@contextlib.contextmanager
def skipped_if_missing(code: str) -> Iterator[None]:
    """Skip the rest of a block when AWS says that something does not exist.

    Args:
        code: AWS's code for that, "NoSuchBucket" for instance.
    """
    try:
        yield
    except botocore.exceptions.ClientError as error:
        if error_code(error) != code:
            raise
