"""CloudFormation: moto's resources, with stacks that are created, changed and deleted as AWS does it.

moto drops a stack's outputs when it cannot read one of them, changes resources only if their text in the template has
changed (not if a parameter or a condition has), neither changes nor deletes Batch's, leaves what it created before a
failure, and notes no events of resources. Here a change is what differs between the properties that were and those
that are to be, with all references and conditions resolved.
"""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import moto.cloudformation.models
import moto.cloudformation.urls
from moto.batch.models import ComputeEnvironment, JobDefinition, batch_backends
from moto.batch.utils import lowercase_first_key
from moto.cloudformation import parsing
from moto.cloudformation.models import Change, ChangeSet, CloudFormationBackend, Event, Stack, cloudformation_backends
from moto.cloudformation.parsing import ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.ec2.models import ec2_backends
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

__all__ = ["install"]

_moto_clean_json = parsing.clean_json
BATCH_ROLE = "AWSServiceRoleForBatch"
_WITH_OUTPUTS = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


class _Nothing:
    """A resource of a type that moto does not have: a policy of a bucket, for instance."""

    def __init__(self, name: str, kind: str) -> None:
        self.logical_resource_id, self.cf_resource_type = name, kind
        self.physical_resource_id = f"{name}-{uuid.uuid4().hex[:12]}"

    def is_created(self) -> bool:
        """Say that it is there, as moto's own resources do."""
        return True


class _ResourceMap(ResourceMap):
    """Same as moto's, but it knows its resources' properties, and can look ahead at those of another template."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.properties: dict[str, Any] = {}
        self.looking_ahead = False
        self.note: Callable[..., None] = lambda *_: None

    def __getitem__(self, key: str) -> Any:
        if key in self._parsed_resources or key not in self._resource_json_map or not self.wanted(key):
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
        return {name: self._parsed_resources[name] for name in self.properties if name in self._parsed_resources}

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
            dict(parameters),
            self.tags,
            account_id=self.account_id,
            region_name=self.region_name,
            template=template,
            cross_stack_resources=self.cross_stack_resources,
        )
        resources.note = self._note
        resources.load()
        return resources

    def _note(self, name: str, kind: str, status: str, physical: str = "", reason: str | None = None) -> None:
        self.events.append(Event(self.stack_id, self.name, name, physical, kind, status, reason, None))

    @property
    def parameter_list(self) -> list[dict[str, Any]]:
        """The parameters as text, as AWS has them."""
        return [
            {"ParameterKey": name, "ParameterValue": _parameter_text(value)}
            for name, value in self.resource_map.resolved_parameters.items()
        ]

    @property
    def outputs(self) -> list[dict[str, Any]] | None:
        """The outputs, while there is something to read them from."""
        return super().outputs if self.status in _WITH_OUTPUTS else None

    def create_resources(self) -> None:
        """Create all resources, or none."""
        self.status = "CREATE_IN_PROGRESS"
        self.resource_map.tags.update(
            {"aws:cloudformation:stack-name": self.name, "aws:cloudformation:stack-id": self.stack_id}
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
        kinds = {name: ahead._resource_json_map.get(name, {}).get("Type") for name in ahead.resources}  # noqa: SLF001
        found = [Change("Add", name, kinds[name]) for name in kinds if name not in before]
        differing = [name for name in kinds if name in before and ahead.resolved(name) != before[name]]
        found += [Change("Modify", name, kinds[name]) for name in differing]
        gone = [name for name in before if name not in kinds]
        return found + [Change("Remove", name, self.template_dict["Resources"][name]["Type"]) for name in gone]

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
        try:
            self._converge(ahead)
        except Exception as error:  # noqa: BLE001 - as in create_resources
            self._end("UPDATE_ROLLBACK_IN_PROGRESS", _text(error))
            for name in [name for name in ahead.properties if name not in before]:
                self._delete(ahead, name)
            for name in [name for name, properties in ahead.properties.items() if properties != before[name]]:
                self._modify(ahead, name, before[name])
            self._end("UPDATE_ROLLBACK_COMPLETE")
            return
        self._end("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        old, self.resource_map = self.resource_map, ahead
        for name in reversed([name for name in old.properties if name not in ahead.properties]):
            self._delete(old, name)
        self.template, self.template_dict = template, ahead._template  # noqa: SLF001
        self.parameters, self.role_arn = ahead.input_parameters, role_arn
        self.tags = tags or self.tags
        self.output_map = self._create_output_map()
        self._end("UPDATE_COMPLETE")

    def _converge(self, ahead: _ResourceMap) -> None:
        for name in dict.fromkeys([*ahead.properties, *ahead.resources]):
            if name not in ahead.properties:
                _ = ahead[name]
            elif (wanted := ahead.resolved(name)) != ahead.properties[name]:
                self._modify(ahead, name, wanted)

    def _modify(self, resources: _ResourceMap, name: str, properties: Any) -> None:
        resource = resources[name]
        kind = resource.cf_resource_type
        self._note(name, kind, "UPDATE_IN_PROGRESS", resource.physical_resource_id)
        try:
            resource = _changed(resource, properties, self.account_id, self.region_name)
        except Exception as error:
            self._note(name, kind, "UPDATE_FAILED", resource.physical_resource_id, _text(error))
            raise
        resource.logical_resource_id, resource.cf_resource_type = name, kind
        resources.take_over(name, resource, properties)
        self._note(name, kind, "UPDATE_COMPLETE", resource.physical_resource_id)

    def delete(self) -> None:
        """Delete all resources; what cannot be deleted stays, and the stack with it."""
        self._end("DELETE_IN_PROGRESS", "User Initiated")
        failed = self._delete_resources()
        if failed:
            self._end("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}].")
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
            _deleted(resource, resources.properties[name], self.account_id, self.region_name)
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
        self, stack_name: str, change_set_name: str, template: str, parameters: dict[str, str], *args: Any, **more: Any
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
            change_set.status_reason = None if change_set.status == "CREATE_COMPLETE" else NO_CHANGES
        return identity, stack_id

    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:
        """Update the stack."""
        change_set = self.describe_change_set(change_set_name)
        assert change_set is not None
        stack = self.get_stack(change_set.stack_id)
        stack.update(change_set.template, parameters=change_set.parameters, tags=change_set.tags)
        change_set.execution_status = "EXECUTE_COMPLETE"

    def delete_stack(self, name_or_stack_id: str) -> None:
        """Delete a stack, if it is there."""
        with contextlib.suppress(parsing.ValidationError):
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
        return {("Condition" if key == "Fn::Condition" else key): _readable(value) for key, value in node.items()}
    return [_readable(value) for value in node] if isinstance(node, list) else node


def _clean_json(node: Any, resources: Any) -> Any:
    """Resolve references and functions; as moto does, but with AWS::NoValue in lists, and the region's zones."""
    if isinstance(node, list):
        return [value for value in (parsing.clean_json(value, resources) for value in node) if value is not None]
    if isinstance(node, dict) and "Fn::GetAZs" in node:
        region = resources["AWS::Region"]
        return [zone.name for zone in RegionsAndZonesBackend.zones[region]]
    return _moto_clean_json(node, resources)


def _changed(resource: Any, properties: Any, account: str, region: str) -> Any:
    """Change a resource and return it, or what has taken its place."""
    batch = batch_backends[account][region]
    given = lowercase_first_key(properties)
    match resource.cf_resource_type:
        case "AWS::Batch::JobDefinition":
            keeps = properties.get("ResourceRetentionPolicy", {}).get("SkipDeregisterOnUpdate")
            if not keeps:
                resource.deregister()
            return _job_definition(resource.name, properties, account, region)
        case "AWS::Batch::JobQueue":
            order = given["computeEnvironmentOrder"]
            batch.update_job_queue(resource.name, given["priority"], given.get("state"), order, None)
        case "AWS::Batch::ComputeEnvironment":
            resource.compute_resources = given["computeResources"]
        case kind:
            model = parsing.get_model_map().get(kind)
            update = getattr(model, "update_from_cloudformation_json", None)
            if update is not None and not hasattr(update, "__isabstractmethod__"):
                name = getattr(resource, "name", resource.physical_resource_id)
                return update(resource, name, {"Type": kind, "Properties": properties}, account, region) or resource
    return resource


def _deleted(resource: Any, properties: Any, account: str, region: str) -> None:
    """Delete a resource."""
    kind = resource.cf_resource_type
    own = _DELETERS.get(kind)
    if own is not None:
        own(resource, properties, account, region)
    elif hasattr(resource, "delete"):
        resource.delete(account, region)
    elif not isinstance(resource, _Nothing):
        described = {"Type": kind, "Properties": properties}
        parsing.parse_and_delete_resource(resource.physical_resource_id, described, account, region)


def _compute_environment(name: str, properties: Any, account: str, region: str) -> ComputeEnvironment:
    """Make a compute environment; moto's ask for a role, know few instance types, and start instances."""
    given = lowercase_first_key(properties)
    roles = iam_backends[account][get_partition(region)]
    if BATCH_ROLE not in {role.name for role in roles.get_roles()}:
        service = {"Effect": "Allow", "Principal": {"Service": "batch.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [service]})
        roles.create_role(BATCH_ROLE, trust, "/aws-service-role/batch.amazonaws.com/", None, "", [], "3600")
    environment = batch_backends[account][region].create_compute_environment(
        name,
        given["type"],
        given.get("state", "ENABLED"),
        {**given["computeResources"], "type": "FARGATE"},
        given.get("serviceRole") or roles.get_role(BATCH_ROLE).arn,
    )
    environment.compute_resources = given["computeResources"]
    return environment


def _job_definition(name: str, properties: Any, account: str, region: str) -> JobDefinition:
    """Register a job definition with all of its properties; moto leaves some out."""
    given = lowercase_first_key({key: value for key, value in properties.items() if key != "Tags"})
    container = given["containerProperties"]
    for requirement in container.get("resourceRequirements", []):
        requirement["value"] = str(requirement["value"])
    return batch_backends[account][region].register_job_definition(
        def_name=name,
        parameters=given.get("parameters", {}),
        _type=given["type"],
        tags=properties.get("Tags", {}),
        retry_strategy=given.get("retryStrategy", {}),
        container_properties=container,
        node_properties=None,
        eks_properties=None,
        timeout=given.get("timeout", {}),
        platform_capabilities=given.get("platformCapabilities", []),
        propagate_tags=given.get("propagateTags", False),
    )


def _delete_batch(resource: Any, properties: Any, account: str, region: str) -> None:  # noqa: ARG001 - as _deleted has it
    batch = batch_backends[account][region]
    match resource.cf_resource_type:
        case "AWS::Batch::JobDefinition":
            resource.deregister()
        case "AWS::Batch::JobQueue":
            batch.delete_job_queue(resource.name)
        case "AWS::Batch::ComputeEnvironment":
            batch.delete_compute_environment(resource.name)


def _delete_network(resource: Any, properties: Any, account: str, region: str) -> None:
    network = ec2_backends[account][region]
    match resource.cf_resource_type:
        case "AWS::EC2::InternetGateway":
            network.delete_internet_gateway(resource.id)
        case "AWS::EC2::VPCGatewayAttachment":
            network.detach_internet_gateway(properties["InternetGatewayId"], properties["VpcId"])
        case "AWS::EC2::Route":
            network.delete_route(properties["RouteTableId"], properties["DestinationCidrBlock"])
        case "AWS::EC2::SubnetRouteTableAssociation":
            table = network.get_route_table(properties["RouteTableId"])
            for identity in [one for one, subnet in table._associations.items() if subnet == properties["SubnetId"]]:  # noqa: SLF001
                network.disassociate_route_table(identity)
        case "AWS::EC2::RouteTable":
            network.delete_route_table(resource.id)
        case "AWS::EC2::VPCEndpoint":
            network.delete_vpc_endpoints([resource.id])


def _delete_identity(resource: Any, properties: Any, account: str, region: str) -> None:
    identities = iam_backends[account][get_partition(region)]
    match resource.cf_resource_type:
        case "AWS::IAM::ManagedPolicy":
            identities.delete_policy(resource.arn)
        case "AWS::IAM::InstanceProfile":
            for role in properties["Roles"]:
                identities.remove_role_from_instance_profile(resource.name, role)
            identities.delete_instance_profile(resource.name)
        case "AWS::IAM::Role":
            for arn in list(resource.managed_policies):
                identities.detach_role_policy(arn, resource.name)
            identities.delete_role(resource.name)


_DELETERS = {
    **dict.fromkeys([f"AWS::Batch::{kind}" for kind in ("JobDefinition", "JobQueue", "ComputeEnvironment")], _delete_batch),
    **dict.fromkeys(
        [
            "AWS::EC2::InternetGateway",
            "AWS::EC2::VPCGatewayAttachment",
            "AWS::EC2::Route",
            "AWS::EC2::SubnetRouteTableAssociation",
            "AWS::EC2::RouteTable",
            "AWS::EC2::VPCEndpoint",
        ],
        _delete_network,
    ),
    **dict.fromkeys([f"AWS::IAM::{kind}" for kind in ("ManagedPolicy", "InstanceProfile", "Role")], _delete_identity),
}


def _creator(make: Callable[[str, Any, str, str], Any]) -> Any:
    """Return what moto calls on a resource's class to create one."""

    def create(name: str, template: Any, account: str, region: str, **_: Any) -> Any:
        return make(name, template["Properties"], account, region)

    return staticmethod(create)


def install() -> None:
    """Make moto's CloudFormation use these stacks."""
    parsing.clean_json = _clean_json
    # The places where moto looks for its own.
    moto.cloudformation.models.Stack = _Stack  # type: ignore[misc]
    moto.cloudformation.models.ChangeSet = _ChangeSet  # type: ignore[misc]
    JobDefinition.create_from_cloudformation_json = _creator(_job_definition)  # type: ignore[method-assign]
    ComputeEnvironment.create_from_cloudformation_json = _creator(_compute_environment)  # type: ignore[method-assign]
    # What is the same shows in the change set, as it does in AWS.
    CloudFormationResponse._validate_different_update = lambda *_: None  # type: ignore[method-assign,assignment]  # noqa: SLF001
    cloudformation_backends.backend = _Backend
