"""Kinds of resources that moto's CloudFormation cannot create, change or delete, or not as its services could."""

import json
from collections.abc import Callable
from typing import Any

from moto.batch.models import ComputeEnvironment, JobDefinition, batch_backends
from moto.batch.utils import lowercase_first_key
from moto.cloudformation import parsing
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.s3.exceptions import BucketNotEmpty
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

__all__ = ["changed", "deleted", "install", "is_replaced", "replacement"]

BATCH_ROLE = "AWSServiceRoleForBatch"


def is_replaced(resource: Any, before: Any, properties: Any) -> bool:
    """Say whether another resource has to take its place."""
    if _new_name(resource, properties) is not None:
        return True
    match resource.cf_resource_type:
        case "AWS::EC2::Subnet":
            return any(
                before[one] != properties[one] for one in ("AvailabilityZone", "CidrBlock", "VpcId")
            )
        case "AWS::Batch::ComputeEnvironment" if properties.get("ReplaceComputeEnvironment", True):
            old, new = (
                {**each["ComputeResources"], "MaxvCpus": None} for each in (before, properties)
            )
            return bool(old != new)
    return False


def replacement(resource: Any, name: str, properties: Any, account: str, region: str) -> Any:
    """Make what takes a resource's place; with a name, unless its properties have one."""
    described = {"Type": resource.cf_resource_type, "Properties": properties}
    maker: Any = parsing.get_model_map()[resource.cf_resource_type]
    return maker.create_from_cloudformation_json(
        _new_name(resource, properties) or name, described, account, region
    )


def changed(resource: Any, properties: Any, account: str, region: str) -> Any:
    """Change a resource and return it, or its new revision."""
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
            batch.update_job_queue(
                resource.name, given["priority"], given.get("state"), order, None
            )
        case "AWS::Batch::ComputeEnvironment":
            resource.compute_resources = given["computeResources"]
        case kind:
            model = parsing.get_model_map().get(kind)
            update = getattr(model, "update_from_cloudformation_json", None)
            if update is not None and not hasattr(update, "__isabstractmethod__"):
                name = getattr(resource, "name", resource.physical_resource_id)
                return (
                    update(
                        resource, name, {"Type": kind, "Properties": properties}, account, region
                    )
                    or resource
                )
    return resource


def _new_name(resource: Any, properties: Any) -> str | None:
    """Return the name that a resource is to have, if it has another one: only a new one can."""
    wanted = properties.get(parsing.resource_name_property_from_type(resource.cf_resource_type))
    return wanted if wanted not in {None, getattr(resource, "name", wanted)} else None


def deleted(resource: Any, properties: Any, account: str, region: str) -> None:
    """Delete a resource."""
    kind = resource.cf_resource_type
    own = _DELETERS.get(kind)
    if own is not None:
        own(resource, properties, account, region)
    elif hasattr(resource, "delete"):
        resource.delete(account, region)
    elif kind in parsing.get_model_map():
        described = {"Type": kind, "Properties": properties}
        parsing.parse_and_delete_resource(resource.physical_resource_id, described, account, region)


def _compute_environment(
    name: str, properties: Any, account: str, region: str
) -> ComputeEnvironment:
    """Make a compute environment; moto's ask for a role, know few instance types, and start instances."""
    given = lowercase_first_key(properties)
    roles = iam_backends[account][get_partition(region)]
    if BATCH_ROLE not in {role.name for role in roles.get_roles()}:
        service = {
            "Effect": "Allow",
            "Principal": {"Service": "batch.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [service]})
        roles.create_role(
            BATCH_ROLE, trust, "/aws-service-role/batch.amazonaws.com/", None, "", [], "3600"
        )
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


def _delete_kept(resource: Any, properties: Any, account: str, region: str) -> None:
    match resource.cf_resource_type:
        case "AWS::S3::Bucket":
            store = s3_backends[account][get_partition(region)]
            if resource.name in store.buckets and store.delete_bucket(resource.name) is None:
                raise BucketNotEmpty(bucket_name=resource.name)
        case "AWS::ECR::Repository":
            registry = ecr_backends[account][region]
            registry.delete_repository(resource.name, force=bool(properties.get("EmptyOnDelete")))


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
            for identity in [
                one
                for one, subnet in table._associations.items()
                if subnet == properties["SubnetId"]
            ]:
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
    **dict.fromkeys(
        [f"AWS::Batch::{kind}" for kind in ("JobDefinition", "JobQueue", "ComputeEnvironment")],
        _delete_batch,
    ),
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
    **dict.fromkeys(["AWS::S3::Bucket", "AWS::ECR::Repository"], _delete_kept),
    **dict.fromkeys(
        [f"AWS::IAM::{kind}" for kind in ("ManagedPolicy", "InstanceProfile", "Role")],
        _delete_identity,
    ),
}


def _creator(make: Callable[[str, Any, str, str], Any]) -> Any:
    """Return what moto calls on a resource's class to create one."""

    def create(name: str, template: Any, account: str, region: str, **_: Any) -> Any:
        return make(name, template["Properties"], account, region)

    return staticmethod(create)


def install() -> None:
    """Have moto create these."""
    JobDefinition.create_from_cloudformation_json = _creator(_job_definition)  # type: ignore[method-assign]
    ComputeEnvironment.create_from_cloudformation_json = _creator(_compute_environment)  # type: ignore[method-assign]
