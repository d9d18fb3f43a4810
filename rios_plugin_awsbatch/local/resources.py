"""Resources by their types: how to create, replace, change and delete them, where moto does not."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.batch.models import ComputeEnvironment, JobDefinition, batch_backends
from moto.batch.utils import lowercase_first_key
from moto.cloudformation import parsing
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.s3.exceptions import BucketNotEmpty
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

__all__ = ["FIXED", "changed", "deleted", "install", "is_replaced", "replacement"]

# Properties that cannot be changed, as the schemas of CloudFormation have them, of those types and
# properties that the template has. Names are looked at apart.
FIXED: Final[Mapping[str, tuple[str, ...]]] = {
    "AWS::Batch::ComputeEnvironment": ("Type",),
    "AWS::EC2::Route": ("DestinationCidrBlock", "RouteTableId"),
    "AWS::EC2::RouteTable": ("VpcId",),
    "AWS::EC2::SecurityGroup": ("GroupDescription", "VpcId"),
    "AWS::EC2::Subnet": ("AvailabilityZone", "CidrBlock", "VpcId"),
    "AWS::EC2::SubnetRouteTableAssociation": ("RouteTableId", "SubnetId"),
    "AWS::EC2::VPC": ("CidrBlock",),
    "AWS::EC2::VPCEndpoint": ("ServiceName", "VpcEndpointType", "VpcId"),
    "AWS::EC2::VPCGatewayAttachment": ("VpcId",),
    "AWS::ECR::Repository": ("EncryptionConfiguration",),
    "AWS::IAM::ManagedPolicy": ("Description",),
    "AWS::S3::BucketPolicy": ("Bucket",),
}
_BATCH_ROLE: Final = "AWSServiceRoleForBatch"


def is_replaced(resource: Any, before: Any, properties: Any) -> bool:
    """Say whether a change needs another resource in the place of this one.

    Args:
        resource: The resource.
        before: Its properties.
        properties: Those that it is to have.
    """
    kind = resource.cf_resource_type
    if _new_name(resource, properties) is not None:
        return True
    if any(before.get(name) != properties.get(name) for name in FIXED.get(kind, ())):
        return True
    if kind == "AWS::Batch::ComputeEnvironment" and properties.get(
        "ReplaceComputeEnvironment", True
    ):
        old, new = ({**each["ComputeResources"], "MaxvCpus": None} for each in (before, properties))
        return bool(old != new)
    return False


def replacement(resource: Any, name: str, properties: Any, account: str, region: str) -> Any:
    """Create a resource in the place of another one.

    Args:
        resource: The former resource.
        name: The new one's name, unless its properties say another.
        properties: Its properties.
        account: The account.
        region: The region.
    """
    described = {"Type": resource.cf_resource_type, "Properties": properties}
    model: Any = parsing.get_model_map()[resource.cf_resource_type]
    return model.create_from_cloudformation_json(
        _new_name(resource, properties) or name, described, account, region
    )


def changed(resource: Any, properties: Any, account: str, region: str) -> Any:
    """Change a resource.

    Returns:
        The resource; its new revision if it is a job definition.
    """
    lower = lowercase_first_key(properties)
    match resource.cf_resource_type:
        case "AWS::Batch::JobDefinition":
            keeps = properties.get("ResourceRetentionPolicy", {}).get("SkipDeregisterOnUpdate")
            if not keeps:
                resource.deregister()
            return _job_definition(resource.name, properties, account, region)
        case "AWS::Batch::JobQueue":
            batch_backends[account][region].update_job_queue(
                resource.name,
                lower["priority"],
                lower.get("state"),
                lower["computeEnvironmentOrder"],
                None,
            )
        case "AWS::Batch::ComputeEnvironment":
            resource.compute_resources = lower["computeResources"]
        case _:
            return _changed_by_moto(resource, properties, account, region)
    return resource


def _changed_by_moto(resource: Any, properties: Any, account: str, region: str) -> Any:
    kind = resource.cf_resource_type
    update = getattr(parsing.get_model_map().get(kind), "update_from_cloudformation_json", None)
    if update is None or hasattr(update, "__isabstractmethod__"):
        return resource
    name = getattr(resource, "name", resource.physical_resource_id)
    described = {"Type": kind, "Properties": properties}
    return update(resource, name, described, account, region) or resource


def _new_name(resource: Any, properties: Any) -> str | None:
    """Return the name that the properties ask for, if it is not the resource's."""
    wanted = properties.get(parsing.resource_name_property_from_type(resource.cf_resource_type))
    return wanted if wanted not in {None, getattr(resource, "name", wanted)} else None


def deleted(resource: Any, properties: Any, account: str, region: str) -> None:
    """Delete a resource.

    Raises:
        Exception: The service refuses it, for instance because a bucket is not empty.
    """
    kind = resource.cf_resource_type
    delete = _DELETE.get(kind)
    if delete is not None:
        delete(resource, properties, account, region)
    elif hasattr(resource, "delete"):
        resource.delete(account, region)
    elif kind in parsing.get_model_map():
        described = {"Type": kind, "Properties": properties}
        parsing.parse_and_delete_resource(resource.physical_resource_id, described, account, region)


def _delete_batch(resource: Any, _properties: Any, account: str, region: str) -> None:
    batch = batch_backends[account][region]
    match resource.cf_resource_type:
        case "AWS::Batch::JobDefinition":
            resource.deregister()
        case "AWS::Batch::JobQueue":
            batch.delete_job_queue(resource.name)
        case "AWS::Batch::ComputeEnvironment":
            batch.delete_compute_environment(resource.name)


def _delete_bucket(resource: Any, _properties: Any, account: str, region: str) -> None:
    store = s3_backends[account][get_partition(region)]
    if resource.name in store.buckets and store.delete_bucket(resource.name) is None:
        raise BucketNotEmpty(bucket_name=resource.name)


def _delete_repository(resource: Any, properties: Any, account: str, region: str) -> None:
    ecr_backends[account][region].delete_repository(
        resource.name, force=bool(properties.get("EmptyOnDelete"))
    )


def _delete_network(resource: Any, properties: Any, account: str, region: str) -> None:
    ec2 = ec2_backends[account][region]
    match resource.cf_resource_type:
        case "AWS::EC2::InternetGateway":
            ec2.delete_internet_gateway(resource.id)
        case "AWS::EC2::VPCGatewayAttachment":
            ec2.detach_internet_gateway(properties["InternetGatewayId"], properties["VpcId"])
        case "AWS::EC2::Route":
            ec2.delete_route(properties["RouteTableId"], properties["DestinationCidrBlock"])
        case "AWS::EC2::SubnetRouteTableAssociation":
            table = ec2.get_route_table(properties["RouteTableId"])
            associations = [
                association
                for association, subnet in table._associations.items()  # noqa: SLF001 - moto has no other way
                if subnet == properties["SubnetId"]
            ]
            for association in associations:
                ec2.disassociate_route_table(association)
        case "AWS::EC2::RouteTable":
            ec2.delete_route_table(resource.id)
        case "AWS::EC2::VPCEndpoint":
            ec2.delete_vpc_endpoints([resource.id])


def _delete_identity(resource: Any, properties: Any, account: str, region: str) -> None:
    iam = iam_backends[account][get_partition(region)]
    match resource.cf_resource_type:
        case "AWS::IAM::ManagedPolicy":
            iam.delete_policy(resource.arn)
        case "AWS::IAM::InstanceProfile":
            for role in properties["Roles"]:
                iam.remove_role_from_instance_profile(resource.name, role)
            iam.delete_instance_profile(resource.name)
        case "AWS::IAM::Role":
            for arn in list(resource.managed_policies):
                iam.detach_role_policy(arn, resource.name)
            iam.delete_role(resource.name)


# All other types are deleted by moto's own classes.
_DELETE: Final[Mapping[str, Callable[[Any, Any, str, str], None]]] = {
    "AWS::Batch::ComputeEnvironment": _delete_batch,
    "AWS::Batch::JobDefinition": _delete_batch,
    "AWS::Batch::JobQueue": _delete_batch,
    "AWS::EC2::InternetGateway": _delete_network,
    "AWS::EC2::Route": _delete_network,
    "AWS::EC2::RouteTable": _delete_network,
    "AWS::EC2::SubnetRouteTableAssociation": _delete_network,
    "AWS::EC2::VPCEndpoint": _delete_network,
    "AWS::EC2::VPCGatewayAttachment": _delete_network,
    "AWS::ECR::Repository": _delete_repository,
    "AWS::IAM::InstanceProfile": _delete_identity,
    "AWS::IAM::ManagedPolicy": _delete_identity,
    "AWS::IAM::Role": _delete_identity,
    "AWS::S3::Bucket": _delete_bucket,
}


def _compute_environment(
    name: str, properties: Any, account: str, region: str
) -> ComputeEnvironment:
    """Create a compute environment.

    moto asks for a role, knows few instance types, and starts instances. With Fargate it does not.
    """
    lower = lowercase_first_key(properties)
    environment = batch_backends[account][region].create_compute_environment(
        name,
        lower["type"],
        lower.get("state", "ENABLED"),
        {**lower["computeResources"], "type": "FARGATE"},
        lower.get("serviceRole") or _batch_role(account, region),
    )
    environment.compute_resources = lower["computeResources"]
    return environment


def _batch_role(account: str, region: str) -> str:
    """Return the ARN of Batch's service-linked role, created if it does not exist."""
    iam = iam_backends[account][get_partition(region)]
    if _BATCH_ROLE not in {role.name for role in iam.get_roles()}:
        service = {
            "Effect": "Allow",
            "Principal": {"Service": "batch.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [service]})
        path = "/aws-service-role/batch.amazonaws.com/"
        iam.create_role(_BATCH_ROLE, trust, path, None, "", [], "3600")
    return str(iam.get_role(_BATCH_ROLE).arn)


def _job_definition(name: str, properties: Any, account: str, region: str) -> JobDefinition:
    """Register a job definition with all of its properties; moto leaves some out."""
    lower = lowercase_first_key({key: value for key, value in properties.items() if key != "Tags"})
    container = lower["containerProperties"]
    for requirement in container.get("resourceRequirements", []):
        requirement["value"] = str(requirement["value"])
    return batch_backends[account][region].register_job_definition(
        def_name=name,
        parameters=lower.get("parameters", {}),
        _type=lower["type"],
        tags=properties.get("Tags", {}),
        retry_strategy=lower.get("retryStrategy", {}),
        container_properties=container,
        node_properties=None,
        eks_properties=None,
        timeout=lower.get("timeout", {}),
        platform_capabilities=lower.get("platformCapabilities", []),
        propagate_tags=lower.get("propagateTags", False),
    )


def _creator(make: Callable[[str, Any, str, str], Any]) -> Any:
    """Return what moto calls on a resource's class to create one."""

    def create(name: str, template: Any, account: str, region: str, **_: Any) -> Any:
        return make(name, template["Properties"], account, region)

    return staticmethod(create)


def install() -> None:
    """Make moto create these resources."""
    JobDefinition.create_from_cloudformation_json = _creator(_job_definition)  # type: ignore[method-assign]
    ComputeEnvironment.create_from_cloudformation_json = _creator(_compute_environment)  # type: ignore[method-assign]
