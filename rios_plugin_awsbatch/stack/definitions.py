"""Job definitions under a stack's names that CloudFormation does not know.

Changes of the stack leave old revisions, for jobs that wait with them; submissions with an image of
their own register copies.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rios_plugin_awsbatch.aws.names import RUN_ID, name_of

from .records import JOB_DEFINITION, Resource, Step, deleted, named

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

__all__ = ["deregister_others", "deregister_renamed"]


def deregister_others(batch: "BatchClient", resources: Sequence[Resource]) -> Iterator[Step]:
    """Deregister all job definitions under the stack's names that CloudFormation does not know."""
    own = named(resources, JOB_DEFINITION)
    others = [arn for arn in _active_definitions(batch, own) if arn not in own]
    for arn in others:
        batch.deregister_job_definition(jobDefinition=arn)
    yield from deleted(len(others), "old job definition", "old job definitions")


def deregister_renamed(
    batch: "BatchClient", before: Sequence[Resource], now: Sequence[Resource]
) -> Iterator[Step]:
    """Deregister those under names that the stack's job definitions had before a change.

    Args:
        batch: The client.
        before: The stack's resources before the change.
        now: Its resources after the change.
    """
    kept = {name_of(arn) for arn in named(now, JOB_DEFINITION)}
    yield from deregister_others(batch, [one for one in before if name_of(one.name) not in kept])


def _active_definitions(batch: "BatchClient", arns: Sequence[str]) -> list[str]:
    """Return the ARNs of all active revisions of job definitions, and of their copies."""
    names = {name_of(arn) for arn in arns}
    ours = re.compile(f"({'|'.join(map(re.escape, names))})(-{RUN_ID})?")
    pages = batch.get_paginator("describe_job_definitions").paginate(status="ACTIVE")
    found = [one["jobDefinitionArn"] for page in pages for one in page["jobDefinitions"]]
    return [arn for arn in found if names and ours.fullmatch(name_of(arn))]
