"""CloudFormation: moto's resources, in stacks that are created, changed and deleted as AWS does it.

moto itself drops all outputs of a stack if it cannot read one of them. It changes a resource only
if its text in the template differs, not if a parameter or a condition does. It neither changes nor
deletes Batch's resources, leaves behind what it created before a failure, and has no events of
resources. Here, a change is a difference in the resolved properties of a resource.
"""

import contextlib
from types import ModuleType
from typing import Any, Final

import moto.cloudformation.models
import moto.cloudformation.urls
import yaml  # which moto needs, too
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import (
    Change,
    ChangeSet,
    CloudFormationBackend,
    cloudformation_backends,
)
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.utils import yaml_tag_constructor

from . import resource_map, resources
from .stacks import LocalStack

__all__ = ["install"]

# AWS's own words.
_NO_CHANGES: Final = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)


class _Backend(CloudFormationBackend):
    """Same as moto's, but with real change sets; and a stack that cannot be deleted stays."""

    @property
    def _url_module(self) -> ModuleType:
        # moto would look for it beside the module of this class.
        return moto.cloudformation.urls

    def create_change_set(
        self,
        stack_name: str,
        change_set_name: str,
        template: str,
        parameters: dict[str, str],
        *args: Any,
        **more: Any,
    ) -> tuple[str, str]:
        """Create a change set, which has failed if there is nothing to change."""
        identity, stack_id = super().create_change_set(
            stack_name, change_set_name, template, parameters, *args, **more
        )
        change_set, stack = self.change_sets[identity], self.stacks[stack_id]
        if change_set.change_set_type == "UPDATE":
            assert isinstance(stack, LocalStack)
            change_set.changes = stack.changes(template, parameters)
            retagged = bool(change_set.tags) and change_set.tags != stack.tags
            changes = bool(change_set.changes) or retagged
            change_set.status = "CREATE_COMPLETE" if changes else "FAILED"
            change_set.status_reason = None if changes else _NO_CHANGES
        return identity, stack_id

    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:  # noqa: ARG002 - moto's signature
        """Update the stack."""
        change_set = self.describe_change_set(change_set_name)
        assert change_set is not None
        stack = self.get_stack(change_set.stack_id)
        stack.update(change_set.template, parameters=change_set.parameters, tags=change_set.tags)
        change_set.execution_status = "EXECUTE_COMPLETE"

    def delete_stack(self, name_or_stack_id: str) -> None:
        """Delete a stack, if it exists."""
        with contextlib.suppress(ValidationError):
            stack = self.get_stack(name_or_stack_id)
            if stack.stack_id in self.stacks:
                stack.delete()
                if stack.status == "DELETE_COMPLETE":
                    self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)


class _ChangeSet(ChangeSet):
    """Same as moto's, but the backend fills in the changes."""

    def diff(self) -> list[Change]:
        return []


def _parse_with_libyaml() -> None:
    """Make moto parse templates with libyaml, if PyYAML has it.

    moto parses a stack's template several times for a request, which takes most of the request's
    time. libyaml takes a tenth of it.
    """
    fast = getattr(yaml, "CLoader", None)
    if fast is not None:
        yaml.add_multi_constructor("", yaml_tag_constructor, Loader=fast)
        yaml.Loader = fast


def install() -> None:
    """Make moto's CloudFormation use these stacks."""
    _parse_with_libyaml()
    resource_map.install()
    resources.install()
    # Where moto looks for the classes of stacks and change sets.
    moto.cloudformation.models.Stack = LocalStack  # type: ignore[misc]
    moto.cloudformation.models.ChangeSet = _ChangeSet  # type: ignore[misc]
    # moto refuses an update without changes; AWS has a change set that has failed.
    CloudFormationResponse._validate_different_update = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001 - no public hook
    cloudformation_backends.backend = _Backend
