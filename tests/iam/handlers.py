"""What CloudFormation does with the rights of whoever creates the stack.

The schemas of resources say which actions their handlers call; cfn-lint ships them. AWS answers one
that is denied with a stack that fails half way.
"""

import functools
import json
from pathlib import Path

import cfnlint

from rios_plugin_awsbatch.local.iam_conditions import matches
from tests.iam.denied import ACCOUNT, BUCKET, REGION, arn, queue, role
from tests.stack.support.template import RESOURCES

SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas"
COMPLETE = "us-east-1"  # the region whose schemas have every type
STEPS = ("create", "read", "update", "delete")
# What a handler calls for properties that the template does not use, by the type of resource.
NOT_USED = {
    "AWS::Batch::ComputeEnvironment": ("eks:*", "batch:SetCapacityTags"),
    "AWS::EC2::Route": ("ec2:DescribeNetworkInterfaces", "ec2:ReplaceRoute"),
    "AWS::EC2::SecurityGroup": ("ec2:*Ingress", "ec2:UpdateSecurityGroupRuleDescriptionsEgress"),
    "AWS::EC2::Subnet": ("ec2:AssociateSubnetCidrBlock", "ec2:DisassociateSubnetCidrBlock"),
    "AWS::EC2::VPC": ("ec2:CreateVpcEncryptionControl", "ec2:ModifyVpcTenancy"),
    "AWS::EC2::VPCEndpoint": ("vpc-lattice:*", "vpce:*"),
    "AWS::EC2::VPCGatewayAttachment": ("ec2:*VpnGateway",),
    "AWS::ECR::Repository": ("kms:*",),
    "AWS::IAM::ManagedPolicy": ("iam:*GroupPolicy", "iam:*UserPolicy", "iam:*RolePolicy"),
    # Inline policies; and a boundary is never taken away.
    "AWS::IAM::Role": (
        "iam:GetRolePolicy",
        "iam:PutRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:DeleteRolePermissionsBoundary",
    ),
    "AWS::Logs::LogGroup": (
        "firehose:*",
        "s3:*",
        "logs:*KmsKey",
        "logs:*LogDelivery",
        "logs:*ResourcePolic*",
        "logs:*BearerTokenAuthentication",
        "logs:*DeletionProtection",
    ),
    "AWS::S3::Bucket": (
        "iam:PassRole",
        "s3tables:*",
        "s3:*Abac",
        "s3:*Accelerate*",
        "s3:*Acl",
        "s3:*Analytics*",
        "s3:*CORS",
        "s3:*Cors",
        "s3:*IntelligentTiering*",
        "s3:*Inventory*",
        "s3:*Logging",
        "s3:*Metadata*",
        "s3:*Metrics*",
        "s3:*Notification",
        "s3:*ObjectLock*",
        "s3:*Replication*",
        "s3:*Versioning",
        "s3:*Website",
        "s3:DeleteBucketEncryption",
        "s3:DeleteBucketLifecycle",
    ),
}
_MADE = {  # resources with names, or with made-up names after the stack's
    "AWS::Batch::ComputeEnvironment": arn("batch", "compute-environment/BatchCompute-1"),
    "AWS::Batch::JobDefinition": arn("batch", "job-definition/riosJobDefinitionMainScript"),
    "AWS::Batch::JobQueue": arn("batch", "job-queue/riosJobQueueMain"),
    "AWS::ECR::Repository": arn("ecr", "repository/riosecrmain"),
    "AWS::IAM::InstanceProfile": arn("iam", "instance-profile/RIOS-BatchInstanceProfile-1", ""),
    "AWS::IAM::ManagedPolicy": arn("iam", "policy/RIOS-BatchMainPolicy-1", ""),
    "AWS::IAM::Role": role("RIOS-BatchWorkerRole-1"),
    "AWS::Logs::LogGroup": arn("logs", "log-group:/rios-awsbatch/RIOS"),
    "AWS::S3::Bucket": BUCKET,
    "AWS::S3::BucketPolicy": BUCKET,
    "AWS::SQS::Queue": queue("riosInQueue"),
    "AWS::SQS::QueuePolicy": queue("riosOutQueue"),
}
_EVERYWHERE = ("ec2:Describe", "batch:Describe", "logs:Describe")
_OF_THE_STACK = {"aws:ResourceTag/aws:cloudformation:stack-name": "RIOS"}


@functools.cache
def schema(kind):
    """Return the schema of a type of resource."""
    names = json.loads((SCHEMAS / "providers" / f"{COMPLETE}.json").read_text())
    return json.loads((SCHEMAS / "resources" / f"{names[kind]}.json").read_text())


def kinds():
    """Return the types of the template's resources."""
    return sorted({one["Type"] for one in RESOURCES.values()})


def permissions(kind):
    """Return the actions that the handlers of a type call, with services in lower case."""
    handlers = schema(kind).get("handlers", {})
    named = {name for step in STEPS for name in handlers.get(step, {}).get("permissions", [])}
    return sorted(f"{name.partition(':')[0].lower()}:{name.partition(':')[2]}" for name in named)


def call_for(kind, action):
    """Return the call that a handler makes: action, resource and context."""
    context = {"aws:CalledViaFirst": "cloudformation.amazonaws.com"}
    if action == "iam:PassRole":
        return _call(action, role("RIOS-BatchWorkerRole-1"), {
            **context,
            "iam:PassedToService": (
                "ec2.amazonaws.com" if "InstanceProfile" in kind else "ecs-tasks.amazonaws.com"
            ),
        })  # fmt: skip
    if action == "iam:CreateServiceLinkedRole":
        slr = "aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
        return _call(action, role(slr), {**context, "iam:AWSServiceName": "batch.amazonaws.com"})
    if action.startswith(_EVERYWHERE):
        return _call(action, "*", context)
    if kind.startswith("AWS::EC2::"):
        name = kind.rpartition(":")[2].lower()
        return _call(action, arn("ec2", f"{name}/{name}-1"), {**context, **_OF_THE_STACK})
    if action.startswith("iam:") and kind == "AWS::IAM::Role":
        boundary = arn("iam", "policy/RIOSBoundary", "")
        attached = arn("iam", "policy/RIOS-BatchWorkerPolicy-1", "")
        context |= {"iam:PermissionsBoundary": boundary, "iam:PolicyARN": attached}
    return _call(action, _MADE[kind], context)


def _call(action, resource, context):
    return {
        "caller": "creator",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/creator",
        "action": action,
        "resource": resource,
        "context": {**context, "aws:RequestedRegion": REGION},
        "allowed": True,
    }


def calls_of_cloudformation():
    """Return every call that the handlers of the template's resources may make."""
    return [
        call_for(kind, action)
        for kind in kinds()
        for action in permissions(kind)
        if not any(matches(one.lower(), action.lower()) for one in NOT_USED.get(kind, ()))
    ]
