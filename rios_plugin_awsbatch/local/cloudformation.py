"""CloudFormation: moto's resources, with stacks that are created, changed and deleted as AWS does it.

moto drops a stack's outputs when it cannot read one of them, changes resources only if their text in the template has
changed (not if a parameter or a condition has), neither changes nor deletes Batch's, leaves what it created before a
failure, and notes no events of resources. Here a change is what differs between the properties that were and those
that are to be, with all references and conditions resolved.
"""

import contextlib
import uuid
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import moto.cloudformation.models
import moto.cloudformation.urls
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import (
    Change,
    ChangeSet,
    CloudFormationBackend,
    Event,
    Stack,
    cloudformation_backends,
)
from moto.cloudformation.parsing import ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from . import resources as kinds
from .resources import changed, deleted, is_replaced, replacement

__all__ = ["install"]

_moto_clean_json, _moto_resource_name = parsing.clean_json, parsing.generate_resource_name
_WITH_OUTPUTS = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


class _Nothing:
    """A resource of a type that moto does not have: a policy of a bucket, for instance."""

    def __init__(self, name: str, kind: str) -> None:
        self.logical_resource_id, self.cf_resource_type = name, kind
        self.physical_resource_id = f"{name}-{uuid.uuid4().hex[:12]}"

    def get_cfn_attribute(self, attribute: str) -> str:
        """Return something for Fn::GetAtt."""
        return f"{self.physical_resource_id}.{attribute}"


class _ResourceMap(ResourceMap):
    """Same as moto's, but it knows its resources' properties, and can look ahead at those of another template."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.properties: dict[str, Any] = {}
        self.looking_ahead = False
        self.note: Callable[..., None] = lambda *_: None

    def __getitem__(self, key: str) -> Any:
        if (
            key in self._parsed_resources
            or key not in self._resource_json_map
            or not self.wanted(key)
        ):
            return super().__getitem__(key)
        kind = self._resource_json_map[key]["Type"]
        if self.looking_ahead or kind not in parsing.get_model_map():
            resource: Any = _Nothing(key, kind)
            self.properties[key] = self.resolved(key)
        else:
            self.properties[key] = self.resolved(key)  # what it refers to is created first
            self.note(key, kind, "CREATE_IN_PROGRESS")
            try:
                resource = super().__getitem__(key)
            except Exception as error:
                self.note(key, kind, "CREATE_FAILED", reason=_text(error))
                raise
        self._parsed_resources[key] = resource
        if not self.looking_ahead:
            self.note(key, kind, "CREATE_COMPLETE", resource.physical_resource_id)
        return resource

    @property
    def resources(self) -> list[str]:
        """The names of the resources that the conditions want."""
        return [name for name in self._resource_json_map if self.wanted(name)]

    def wanted(self, name: str) -> bool:
        """Say whether a resource's condition is true."""
        condition = self._resource_json_map[name].get("Condition")
        return condition is None or bool(self.lazy_condition_map[condition])

    def resolved(self, name: str) -> Any:
        """Return a resource's properties without references, functions and conditions."""
        return parsing.clean_json(self._resource_json_map[name].get("Properties", {}), self)

    def load_parameters(self) -> None:
        """Same as moto's, but a list's default is a list."""
        super().load_parameters()
        for name, slot in self._template.get("Parameters", {}).items():
            value = self.resolved_parameters[name]
            if slot["Type"] == "CommaDelimitedList" and isinstance(value, str):
                self.resolved_parameters[name] = self._parsed_resources[name] = value.split(",")

    def created(self) -> dict[str, Any]:
        """Return the resources that exist, each after those that it refers to."""
        return {
            name: self._parsed_resources[name]
            for name in self.properties
            if name in self._parsed_resources
        }

    def take_over(self, name: str, resource: Any, properties: Any) -> None:
        """Have a resource that exists."""
        self._parsed_resources[name], self.properties[name] = resource, properties

    def forget(self, name: str) -> None:
        """Have a resource no longer."""
        del self._parsed_resources[name], self.properties[name]


class _Stack(Stack):
    """Same as moto's, but with the events of resources, and the ends that AWS's stacks come to."""

    resource_map: _ResourceMap

    def _parse_template(self) -> None:
        self.template_dict = _readable(self.parse_template(self.template))  # type: ignore[arg-type]

    def _create_resource_map(self) -> ResourceMap:
        return self._map(self.template_dict, self.parameters)

    def _map(self, template: dict[str, Any], parameters: Mapping[str, Any]) -> _ResourceMap:
        resources = _ResourceMap(
            self.stack_id,
            self.name,
            {name: _parameter_text(value) for name, value in parameters.items()},
            self.tags,
            account_id=self.account_id,
            region_name=self.region_name,
            template=template,
            cross_stack_resources=self.cross_stack_resources,
        )
        resources.note = self._note
        resources.load()
        return resources

    def _note(
        self, name: str, kind: str, status: str, physical: str = "", reason: str | None = None
    ) -> None:
        self.events.append(
            Event(self.stack_id, self.name, name, physical, kind, status, reason, None)
        )

    @property
    def parameter_list(self) -> list[dict[str, Any]]:
        """The parameters as text, as AWS has them."""
        return [
            {"ParameterKey": name, "ParameterValue": _parameter_text(value)}
            for name, value in self.resource_map.resolved_parameters.items()
        ]

    @property
    def stack_resources(self) -> Any:
        """The resources that exist; moto's way of asking for them creates those that do not."""
        return self.resource_map.created().values()

    @property
    def outputs(self) -> list[dict[str, Any]] | None:
        """The outputs, while there is something to read them from."""
        return super().outputs if self.status in _WITH_OUTPUTS else None

    def create_resources(self) -> None:
        """Create all resources, or none."""
        self.status = "CREATE_IN_PROGRESS"
        self.resource_map.tags.update(
            {
                "aws:cloudformation:stack-name": self.name,
                "aws:cloudformation:stack-id": self.stack_id,
            }
        )
        try:
            for name in self.resource_map.resources:
                _ = self.resource_map[name]
        except Exception as error:  # noqa: BLE001 - any of moto's, which AWS would report as an event
            self._end("ROLLBACK_IN_PROGRESS", _text(error))
            self._delete_resources()
            self._end("ROLLBACK_COMPLETE")
            return
        self._end("CREATE_COMPLETE")

    def changes(self, template: str, parameters: Mapping[str, Any]) -> list[Change]:
        """Return what an update would do."""
        ahead = self._ahead(template, parameters)
        ahead.looking_ahead = True
        before = self.resource_map.properties
        types = {
            name: ahead._resource_json_map.get(name, {}).get("Type") for name in ahead.resources
        }
        found: list[Any] = [
            Change("Add", name, types[name]) for name in types if name not in before
        ]
        for name in [name for name in types if name in before]:
            wanted = ahead.resolved(name)
            if wanted != before[name]:
                found.append(self._change("Modify", name))
                found[-1].replacement = str(
                    is_replaced(self.resource_map[name], before[name], wanted)
                )
        return found + [self._change("Remove", name) for name in before if name not in types]

    def _change(self, action: str, name: str) -> Any:
        resource = self.resource_map[name]
        change: Any = Change(action, name, resource.cf_resource_type)
        change.physical_resource_id = resource.physical_resource_id
        return change

    def _ahead(self, template: str, parameters: Mapping[str, Any]) -> _ResourceMap:
        ahead = self._map(_readable(self.parse_template(template)), parameters)
        for name, resource in self.resource_map.created().items():
            if name in ahead.resources:
                ahead.take_over(name, resource, self.resource_map.properties[name])
        return ahead

    def update(
        self,
        template: str,
        role_arn: str | None = None,
        parameters: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Change, add and remove what differs; or nothing, if that fails."""
        self._end("UPDATE_IN_PROGRESS", "User Initiated")
        ahead = self._ahead(template, parameters or self.parameters)
        before = dict(ahead.properties)
        replaced: dict[str, Any] = {}
        try:
            self._converge(ahead, replaced)
        except Exception as error:  # noqa: BLE001 - as in create_resources
            self._end("UPDATE_ROLLBACK_IN_PROGRESS", _text(error))
            for name in [
                name for name in ahead.properties if name not in before or name in replaced
            ]:
                self._delete(ahead, name)
            for name, resource in replaced.items():
                ahead.take_over(name, resource, before[name])
            for name in [
                name for name, properties in ahead.properties.items() if properties != before[name]
            ]:
                self._modify(ahead, name, before[name], {})
            self._end("UPDATE_ROLLBACK_COMPLETE")
            return
        self._end("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        old, self.resource_map = self.resource_map, ahead
        for name in reversed(
            [name for name in old.properties if name not in ahead.properties or name in replaced]
        ):
            self._delete(old, name)
        self.template, self.template_dict = template, ahead._template  # noqa: SLF001
        self.parameters, self.role_arn = ahead.input_parameters, role_arn
        self.tags = tags or self.tags
        self.output_map = self._create_output_map()
        self._end("UPDATE_COMPLETE")

    def _converge(self, ahead: _ResourceMap, replaced: dict[str, Any]) -> None:
        for name in dict.fromkeys([*ahead.properties, *ahead.resources]):
            if name not in ahead.properties:
                _ = ahead[name]
            elif (wanted := ahead.resolved(name)) != ahead.properties[name]:
                self._modify(ahead, name, wanted, replaced)

    def _modify(
        self, resources: _ResourceMap, name: str, properties: Any, replaced: dict[str, Any]
    ) -> None:
        before = resources[name]
        kind = before.cf_resource_type
        self._note(name, kind, "UPDATE_IN_PROGRESS", before.physical_resource_id)
        try:
            if is_replaced(before, resources.properties[name], properties):
                made_up = parsing.generate_resource_name(kind, self.name, name)
                resource = replacement(
                    before, made_up, properties, self.account_id, self.region_name
                )
                replaced[name] = before
            else:
                resource = changed(before, properties, self.account_id, self.region_name)
        except Exception as error:
            self._note(name, kind, "UPDATE_FAILED", before.physical_resource_id, _text(error))
            raise
        resource.logical_resource_id, resource.cf_resource_type = name, kind
        resources.take_over(name, resource, properties)
        self._note(name, kind, "UPDATE_COMPLETE", resource.physical_resource_id)

    def delete(self) -> None:
        """Delete all resources; what cannot be deleted stays, and the stack with it."""
        self._end("DELETE_IN_PROGRESS", "User Initiated")
        failed = self._delete_resources()
        if failed:
            self._end(
                "DELETE_FAILED",
                f"The following resource(s) failed to delete: [{', '.join(failed)}].",
            )
        else:
            self._end("DELETE_COMPLETE")

    def _delete_resources(self) -> list[str]:
        names = list(reversed(self.resource_map.created()))
        return [name for name in names if not self._delete(self.resource_map, name)]

    def _delete(self, resources: _ResourceMap, name: str) -> bool:
        resource = resources[name]
        kind, physical = resource.cf_resource_type, resource.physical_resource_id
        self._note(name, kind, "DELETE_IN_PROGRESS", physical)
        try:
            deleted(resource, resources.properties[name], self.account_id, self.region_name)
        except Exception as error:  # noqa: BLE001 - as in create_resources
            self._note(name, kind, "DELETE_FAILED", physical, _text(error))
            return False
        resources.forget(name)
        self._note(name, kind, "DELETE_COMPLETE", physical)
        return True

    def _end(self, status: str, reason: str | None = None) -> None:
        self.status = status
        self._add_stack_event(status, reason)


class _Backend(CloudFormationBackend):
    """Same as moto's, but a change set is what differs, and a stack that cannot be deleted stays."""

    @property
    def _url_module(self) -> ModuleType:
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
        """Make one; it has failed if there is nothing to change."""
        identity, stack_id = super().create_change_set(
            stack_name, change_set_name, template, parameters, *args, **more
        )
        change_set, stack = self.change_sets[identity], self.stacks[stack_id]
        if change_set.change_set_type == "UPDATE":
            assert isinstance(stack, _Stack)
            change_set.changes = stack.changes(template, parameters)
            retagged = bool(change_set.tags) and change_set.tags != stack.tags
            change_set.status = "CREATE_COMPLETE" if change_set.changes or retagged else "FAILED"
            change_set.status_reason = (
                None if change_set.status == "CREATE_COMPLETE" else NO_CHANGES
            )
        return identity, stack_id

    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:  # noqa: ARG002 - moto's
        """Update the stack."""
        change_set = self.describe_change_set(change_set_name)
        assert change_set is not None
        stack = self.get_stack(change_set.stack_id)
        stack.update(change_set.template, parameters=change_set.parameters, tags=change_set.tags)
        change_set.execution_status = "EXECUTE_COMPLETE"

    def delete_stack(self, name_or_stack_id: str) -> None:
        """Delete a stack, if it is there."""
        with contextlib.suppress(ValidationError):
            stack = self.get_stack(name_or_stack_id)
            if stack.stack_id in self.stacks:
                stack.delete()
                if stack.status == "DELETE_COMPLETE":
                    self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)


class _ChangeSet(ChangeSet):
    """Same as moto's, but the backend says what it changes."""

    def diff(self) -> list[Change]:
        return []


def _parameter_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _text(error: Exception) -> str:
    return str(getattr(error, "message", None) or error)


def _readable(node: Any) -> Any:
    """Return a template with conditions as moto looks for them."""
    if isinstance(node, dict):
        return {
            ("Condition" if key == "Fn::Condition" else key): _readable(value)
            for key, value in node.items()
        }
    return [_readable(value) for value in node] if isinstance(node, list) else node


def _clean_json(node: Any, resources: Any) -> Any:
    """Resolve references and functions; as moto does, but with AWS::NoValue in lists, and the region's zones."""
    if isinstance(node, list):
        return [
            value
            for value in (parsing.clean_json(value, resources) for value in node)
            if value is not None
        ]
    if isinstance(node, dict) and "Fn::GetAZs" in node:
        region = resources["AWS::Region"]
        return [zone.name for zone in RegionsAndZonesBackend.zones[region]]
    return _moto_clean_json(node, resources)


def _resource_name(kind: str, stack: str, name: str) -> str:
    """Make up a name; as moto does, but repositories have lower case ones only."""
    made_up = _moto_resource_name(kind, stack, name)
    return made_up.lower() if kind == "AWS::ECR::Repository" else made_up


def install() -> None:
    """Make moto's CloudFormation use these stacks."""
    parsing.clean_json = _clean_json  # type: ignore[assignment]
    parsing.generate_resource_name = _resource_name  # type: ignore[assignment]
    # The places where moto looks for its own.
    moto.cloudformation.models.Stack = _Stack  # type: ignore[misc]
    moto.cloudformation.models.ChangeSet = _ChangeSet  # type: ignore[misc]
    kinds.install()
    # What is the same shows in the change set, as it does in AWS.
    CloudFormationResponse._validate_different_update = lambda *_: None  # type: ignore[method-assign]  # noqa: SLF001
    cloudformation_backends.backend = _Backend
