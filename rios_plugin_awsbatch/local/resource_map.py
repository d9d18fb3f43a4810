"""The resources of a stack: created, changed and deleted, with an event for each step."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from moto.cloudformation import parsing
from moto.cloudformation.parsing import ResourceMap
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from .resources import changed, deleted, is_replaced, replacement

__all__ = ["StackResources", "install", "text_of"]

_STACK_CHARACTERS: Final = 24
_moto_clean_json, _moto_resource_name = parsing.clean_json, parsing.generate_resource_name


class _Placeholder:
    """A resource of a type that moto does not have, a bucket's policy for instance."""

    def __init__(self, name: str, kind: str) -> None:
        self.logical_resource_id, self.cf_resource_type = name, kind
        self.physical_resource_id = f"{name}-{uuid.uuid4().hex[:12]}"

    def get_cfn_attribute(self, attribute: str) -> str:
        """Return a value for Fn::GetAtt."""
        return f"{self.physical_resource_id}.{attribute}"


class StackResources(ResourceMap):
    """Same as moto's, but it keeps the resources' properties, and can change and delete resources.

    Attributes:
        properties: The resolved properties of the resources that exist.
        looking_ahead: Whether to create nothing, but find out what properties resources would have.
        note: Adds an event; takes a resource's name, type and status, its physical id and a reason.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.properties: dict[str, Any] = {}
        self.looking_ahead = False
        self.note: Callable[..., None] = lambda *_: None

    def __getitem__(self, key: str) -> Any:
        """Return a resource, created with all that it refers to if it does not exist."""
        if (
            key in self._parsed_resources
            or key not in self._resource_json_map
            or not self.wanted(key)
        ):
            return super().__getitem__(key)
        properties = self.resolved(key)  # creates what it refers to
        resource = self._placed(key) if self.looking_ahead else self._created(key)
        self.adopt(key, resource, properties)
        return resource

    def _placed(self, name: str) -> Any:
        return _Placeholder(name, self.type_of(name))

    def _created(self, name: str) -> Any:
        kind = self.type_of(name)
        resource: Any
        if kind in parsing.get_model_map():
            self.note(name, kind, "CREATE_IN_PROGRESS")
            try:
                resource = super().__getitem__(name)
            except Exception as error:
                self.note(name, kind, "CREATE_FAILED", reason=text_of(error))
                raise
        else:
            resource = self._placed(name)
        self.note(name, kind, "CREATE_COMPLETE", resource.physical_resource_id)
        return resource

    def modify(self, name: str, properties: Any) -> Any:
        """Give a resource other properties.

        Returns:
            The former resource, if another one has taken its place; else None.

        Raises:
            Exception: The service refuses it.
        """
        before = self[name]
        kind = before.cf_resource_type
        self.note(name, kind, "UPDATE_IN_PROGRESS", before.physical_resource_id)
        # A placeholder does for the one that takes its place.
        replaces = kind in parsing.get_model_map() and is_replaced(
            before, self.properties[name], properties
        )
        try:
            if replaces:
                resource = replacement(
                    before,
                    parsing.generate_resource_name(kind, self["AWS::StackName"], name),
                    properties,
                    self._account_id,
                    self._region_name,
                )
            else:
                resource = changed(before, properties, self._account_id, self._region_name)
        except Exception as error:
            self.note(name, kind, "UPDATE_FAILED", before.physical_resource_id, text_of(error))
            raise
        resource.logical_resource_id, resource.cf_resource_type = name, kind
        self.adopt(name, resource, properties)
        self.note(name, kind, "UPDATE_COMPLETE", resource.physical_resource_id)
        return before if replaces else None

    def delete_one(self, name: str) -> bool:
        """Delete a resource; return whether that has succeeded."""
        resource = self[name]
        kind, physical = resource.cf_resource_type, resource.physical_resource_id
        self.note(name, kind, "DELETE_IN_PROGRESS", physical)
        try:
            deleted(resource, self.properties[name], self._account_id, self._region_name)
        except Exception as error:  # noqa: BLE001 - AWS reports any failure as an event
            self.note(name, kind, "DELETE_FAILED", physical, text_of(error))
            return False
        del self._parsed_resources[name], self.properties[name]
        self.note(name, kind, "DELETE_COMPLETE", physical)
        return True

    def adopt(self, name: str, resource: Any, properties: Any) -> None:
        """Add a resource that exists."""
        self._parsed_resources[name], self.properties[name] = resource, properties

    @property
    def template(self) -> dict[str, Any]:
        """The parsed template."""
        return self._template

    @property
    def resources(self) -> list[str]:
        """The names of the resources whose conditions are true."""
        return [name for name in self._resource_json_map if self.wanted(name)]

    def type_of(self, name: str) -> str:
        """Return the type of a resource of the template."""
        kind: str = self._resource_json_map[name]["Type"]
        return kind

    def wanted(self, name: str) -> bool:
        """Say whether a resource's condition is true."""
        condition = self._resource_json_map[name].get("Condition")
        return condition is None or bool(self.lazy_condition_map[condition])

    def resolved(self, name: str) -> Any:
        """Return a resource's properties without references, functions and conditions."""
        return parsing.clean_json(self._resource_json_map[name].get("Properties", {}), self)

    def load_parameters(self) -> None:
        """Same as moto's, but the default of a list is a list."""
        super().load_parameters()
        for name, parameter in self._template.get("Parameters", {}).items():
            value = self.resolved_parameters[name]
            if parameter["Type"] == "CommaDelimitedList" and isinstance(value, str):
                self.resolved_parameters[name] = self._parsed_resources[name] = value.split(",")

    def existing(self) -> dict[str, Any]:
        """Return the resources that exist, each after those that it refers to."""
        return {
            name: self._parsed_resources[name]
            for name in self.properties
            if name in self._parsed_resources
        }


def text_of(error: Exception) -> str:
    """Return what moto says about an error."""
    return str(getattr(error, "message", None) or error)


def _clean_json(node: Any, resources: Any) -> Any:
    """Resolve references and functions, as moto does, but AWS::NoValue in lists and zones, too."""
    if isinstance(node, list):
        values = [parsing.clean_json(value, resources) for value in node]
        return [value for value in values if value is not None]
    if isinstance(node, dict) and "Fn::GetAZs" in node:
        region = resources["AWS::Region"]
        return [zone.name for zone in RegionsAndZonesBackend.zones[region]]
    return _moto_clean_json(node, resources)


def _resource_name(kind: str, stack: str, name: str) -> str:
    """Make up a name, as moto does, but in lower case for repositories, which have no other.

    As in CloudFormation, a long name of the stack is shortened in it.
    """
    made_up = _moto_resource_name(kind, stack[:_STACK_CHARACTERS], name)
    return made_up.lower() if kind == "AWS::ECR::Repository" else made_up


def install() -> None:
    """Make moto resolve templates and make up names like this."""
    parsing.clean_json = _clean_json  # type: ignore[assignment]  # moto's is recursive by name
    parsing.generate_resource_name = _resource_name  # type: ignore[assignment]  # as above
