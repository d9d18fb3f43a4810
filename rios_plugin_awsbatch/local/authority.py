"""Which policies callers have: users by name, jobs by the roles of the stacks in moto."""

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from moto.batch.models import batch_backends
from moto.cloudformation.models import cloudformation_backends
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from .credentials import MAIN, OWNER, Caller
from .iam import Policy, read_policy

__all__ = ["Authority", "Principal"]

_EVERYTHING: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
_NOTHING: Final = '{"Statement": []}'
_MAIN_POLICY: Final = "BatchMainPolicy"  # in the template
_WITHOUT_ROLE: Final = "no role"


@dataclasses.dataclass(frozen=True)
class Principal:
    """Who makes a request, with what policies.

    Attributes:
        kind: The user's name, or the role's in the template.
        arn: The caller's ARN, a session's if it is a role.
        policies: What it may do.
        boundaries: What it may do at most, for each a policy; none for no limits.
        documents: The same as text, by the policies' names.
    """

    kind: str
    arn: str
    policies: tuple[Policy, ...]
    boundaries: tuple[Policy, ...]
    documents: Mapping[str, str]


class Authority:
    """The users and roles of the account, with their policies as they are now.

    Args:
        account: The account's number.
        region: The region of the stacks.
        stack: The stack whose main scripts the user "main" may run.
        users: The policies of other users, as JSON, by their names.
    """

    def __init__(
        self, account: str, region: str, stack: str, users: Mapping[str, Sequence[str]]
    ) -> None:
        self.account = account
        self.region = region
        self.partition = get_partition(region)
        self._stack = stack
        self._users = users
        # By caller, with the number of events of all stacks; it grows when a stack changes.
        self._known: dict[Caller, tuple[int, Principal]] = {}

    def principal(self, caller: Caller) -> Principal:
        """Return who a caller is."""
        events = sum(len(one.events) for one in self._stacks())
        seen, known = self._known.get(caller, (-1, None))
        if known is None or seen != events:
            known = self._looked_up(caller)
            if known.kind != _WITHOUT_ROLE:
                self._known[caller] = events, known
        return known

    def _looked_up(self, caller: Caller) -> Principal:
        if caller.user:
            documents = dict(self._documents_of_user(caller.user))
            arn = f"arn:{self.partition}:iam::{self.account}:user/{caller.user}"
            if caller.user == OWNER:
                arn = f"arn:{self.partition}:iam::{self.account}:root"
            return _principal(caller.user, arn, documents)
        role = caller.role.rpartition("/")[2]
        arn = f"arn:{self.partition}:sts::{self.account}:assumed-role/{role}/{caller.session}"
        for name, properties in self._resources("AWS::IAM::Role"):
            if name[1] == caller.role:
                documents = dict(self._documents_of_role(properties))
                boundary = properties.get("PermissionsBoundary")
                return _principal(
                    name[0], arn, documents, [self._managed(boundary)] if boundary else []
                )
        return _principal(_WITHOUT_ROLE, arn, dict(self._attached(role)))

    def job_tags(self, identity: str) -> Mapping[str, str]:
        """Return the tags of a job; those of its array if it is a child."""
        backend = batch_backends[self.account][self.region]
        parent = identity.rpartition("/")[2].partition(":")[0]
        arn = f"arn:{self.partition}:batch:{self.region}:{self.account}:job/{parent}"
        return dict(backend.list_tags_for_resource(arn))

    def stack_of(self, change_set: str) -> str:
        """Return the ARN of the stack of a change set."""
        sets = cloudformation_backends[self.account][self.region].change_sets
        found = sets.get(change_set)
        return str(found.stack_id) if found is not None else "*"

    def _documents_of_user(self, user: str) -> Iterator[tuple[str, str]]:
        if user == OWNER:
            yield "Everything", json.dumps(_EVERYTHING)
        elif user != MAIN:
            for number, text in enumerate(self._users[user]):
                yield f"{user}-{number}", text
        else:
            for name, properties in self._resources("AWS::IAM::ManagedPolicy", self._stack):
                if name[0] == _MAIN_POLICY:
                    yield _MAIN_POLICY, json.dumps(properties["PolicyDocument"])

    def _documents_of_role(self, properties: Any) -> Iterator[tuple[str, str]]:
        for one in properties.get("Policies", []):
            yield one["PolicyName"], json.dumps(one["PolicyDocument"])
        for arn in properties.get("ManagedPolicyArns", []):
            yield self._managed(arn)

    def _managed(self, arn: str) -> tuple[str, str]:
        """Return the name and the document of a managed policy, ours or AWS's own."""
        for (ours, its_arn), properties in self._resources("AWS::IAM::ManagedPolicy"):
            if its_arn == arn:
                return ours, json.dumps(properties["PolicyDocument"])
        name = arn.rpartition("/")[2]
        made = iam_backends[self.account][self.partition].managed_policies.get(arn)
        if made is None:
            return name, _policies_of_aws().get(name, _NOTHING)
        (document,) = [one.document for one in made.versions if one.is_default]
        return name, document

    def _attached(self, role: str) -> Iterator[tuple[str, str]]:
        """Yield the policies of a role that no stack has."""
        known = iam_backends[self.account][self.partition].roles.values()
        for one in known:
            if one.name == role:
                yield from one.policies.items()
                yield from map(self._managed, one.managed_policies)

    def _resources(self, kind: str, stack: str = "") -> Iterator[tuple[tuple[str, str], Any]]:
        """Yield the stacks' resources of a type: name, ARN, and properties as they are now.

        moto attaches no managed policy to a role of a template, and changes no policy.
        """
        for one in self._stacks():
            if stack and one.name != stack:
                continue
            resources: Any = one.resource_map
            for name, properties in list(resources.properties.items()):
                if resources.type_of(name) == kind:
                    yield (name, resources[name].arn), properties

    def _stacks(self) -> list[Any]:
        return list(cloudformation_backends[self.account][self.region].stacks.values())


def _principal(
    kind: str,
    arn: str,
    documents: Mapping[str, str],
    boundaries: Sequence[tuple[str, str]] = (),
) -> Principal:
    policies = tuple(read_policy(name, text) for name, text in documents.items())
    limits = tuple(read_policy(name, text) for name, text in boundaries)
    return Principal(kind, arn, policies, limits, {**documents})


@functools.cache
def _policies_of_aws() -> dict[str, str]:
    """Return the documents of AWS's own managed policies, by their names."""
    from moto.iam.aws_managed_policies import (  # noqa: PLC0415 - 5 MB that few need
        aws_managed_policies_data,
    )

    known: dict[str, Any] = json.loads(aws_managed_policies_data)
    return {name: json.dumps(one["Document"]) for name, one in known.items()}
