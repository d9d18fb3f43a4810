"""Stacks as CloudFormation has them: created, updated and deleted as a whole, or rolled back."""

from collections.abc import Mapping
from typing import Any, Final

from moto.cloudformation.models import Change, Event, Stack
from moto.cloudformation.parsing import ResourceMap

from .resource_map import StackResources, text_of
from .resources import is_replaced

__all__ = ["LocalStack"]

_WITH_OUTPUTS: Final = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


class LocalStack(Stack):
    """Same as moto's, but with events of resources, and with AWS's states after a failure."""

    resource_map: StackResources

    def _parse_template(self) -> None:
        self.template_dict = _readable(self.parse_template(self.template))  # type: ignore[arg-type]  # a str, moto says more

    def _create_resource_map(self) -> ResourceMap:
        return self._resources(self.template_dict, self.parameters)

    def _resources(self, template: dict[str, Any], parameters: Mapping[str, Any]) -> StackResources:
        resources = StackResources(
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

    def _enter(self, status: str, reason: str | None = None) -> None:
        self.status = status
        self._add_stack_event(status, reason)

    @property
    def parameter_list(self) -> list[dict[str, Any]]:
        """The parameters as text, as AWS gives them."""
        return [
            {"ParameterKey": name, "ParameterValue": _parameter_text(value)}
            for name, value in self.resource_map.resolved_parameters.items()
        ]

    @property
    def stack_resources(self) -> Any:
        """The resources that exist; moto's property creates the others."""
        return self.resource_map.existing().values()

    @property
    def outputs(self) -> list[dict[str, Any]] | None:
        """The outputs, in states in which all resources exist."""
        return super().outputs if self.status in _WITH_OUTPUTS else None

    def create_resources(self) -> None:
        """Create all resources; delete them again if one of them fails."""
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
        except Exception as error:  # noqa: BLE001 - AWS reports any failure as an event
            self._enter("ROLLBACK_IN_PROGRESS", text_of(error))
            self._delete_resources()
            self._enter("ROLLBACK_COMPLETE")
            return
        self._enter("CREATE_COMPLETE")

    def changes(self, template: str, parameters: Mapping[str, Any]) -> list[Change]:
        """Return what an update would do."""
        ahead = self._ahead(template, parameters)
        ahead.looking_ahead = True
        before = self.resource_map.properties
        names = ahead.resources
        added: list[Any] = [
            Change("Add", name, ahead.type_of(name)) for name in names if name not in before
        ]
        modified = []
        for name in names:
            if name in before and (wanted := ahead.resolved(name)) != before[name]:
                replaced = is_replaced(self.resource_map[name], before[name], wanted)
                modified.append(self._change("Modify", name, replaced=replaced))
        removed = [self._change("Remove", name) for name in before if name not in names]
        return added + modified + removed

    def _change(self, action: str, name: str, *, replaced: bool | None = None) -> Any:
        resource = self.resource_map[name]
        change: Any = Change(action, name, resource.cf_resource_type)
        change.physical_resource_id = resource.physical_resource_id
        if replaced is not None:
            change.replacement = str(replaced)
        return change

    def _ahead(self, template: str, parameters: Mapping[str, Any]) -> StackResources:
        """Return the resources of another template, those of this stack among them."""
        ahead = self._resources(_readable(self.parse_template(template)), parameters)
        for name, resource in self.resource_map.existing().items():
            if name in ahead.resources:
                ahead.adopt(name, resource, self.resource_map.properties[name])
        return ahead

    def update(
        self,
        template: str,
        role_arn: str | None = None,
        parameters: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Change, add and remove what differs; undo all of it if one part fails."""
        self._enter("UPDATE_IN_PROGRESS", "User Initiated")
        update = _Update(self._ahead(template, parameters or self.parameters))
        try:
            update.apply()
        except Exception as error:  # noqa: BLE001 - AWS reports any failure as an event
            self._enter("UPDATE_ROLLBACK_IN_PROGRESS", text_of(error))
            update.undo()
            self._enter("UPDATE_ROLLBACK_COMPLETE")
            return
        self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        old, self.resource_map = self.resource_map, update.resources
        update.clean_up(old)
        self.template, self.template_dict = template, update.resources.template
        self.parameters, self.role_arn = update.resources.input_parameters, role_arn
        self.tags = tags or self.tags
        self.output_map = self._create_output_map()
        self._enter("UPDATE_COMPLETE")

    def delete(self) -> None:
        """Delete all resources; one that cannot be deleted stays, and the stack with it."""
        self._enter("DELETE_IN_PROGRESS", "User Initiated")
        failed = self._delete_resources()
        if failed:
            names = ", ".join(failed)
            self._enter("DELETE_FAILED", f"The following resource(s) failed to delete: [{names}].")
        else:
            self._enter("DELETE_COMPLETE")

    def _delete_resources(self) -> list[str]:
        """Delete all resources; return the names of those that stay."""
        names = list(reversed(self.resource_map.existing()))
        return [name for name in names if not self.resource_map.delete_one(name)]


class _Update:
    """The steps of an update.

    Args:
        resources: The resources of the new template, with those that exist already.
    """

    def __init__(self, resources: StackResources) -> None:
        self.resources = resources
        self._before = dict(resources.properties)
        self._replaced: dict[str, Any] = {}

    def apply(self) -> None:
        """Create and change what differs.

        Raises:
            Exception: A service refuses something.
        """
        resources = self.resources
        for name in dict.fromkeys([*resources.properties, *resources.resources]):
            if name not in resources.properties:
                _ = resources[name]
            elif (wanted := resources.resolved(name)) != resources.properties[name]:
                former = resources.modify(name, wanted)
                if former is not None:
                    self._replaced[name] = former

    def undo(self) -> None:
        """Delete what has been created, and change the rest back."""
        resources = self.resources
        created = [
            name
            for name in resources.properties
            if name not in self._before or name in self._replaced
        ]
        for name in created:
            resources.delete_one(name)
        for name, resource in self._replaced.items():
            resources.adopt(name, resource, self._before[name])
        changed = [
            name
            for name, properties in resources.properties.items()
            if properties != self._before[name]
        ]
        for name in changed:
            resources.modify(name, self._before[name])

    def clean_up(self, old: StackResources) -> None:
        """Delete those of the old resources that were replaced, or are not in the new template."""
        obsolete = [
            name
            for name in old.properties
            if name not in self.resources.properties or name in self._replaced
        ]
        for name in reversed(obsolete):
            old.delete_one(name)


def _parameter_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _readable(node: Any) -> Any:
    """Return a template with the conditions under the name by which moto looks for them."""
    if isinstance(node, dict):
        return {
            ("Condition" if key == "Fn::Condition" else key): _readable(value)
            for key, value in node.items()
        }
    return [_readable(value) for value in node] if isinstance(node, list) else node
