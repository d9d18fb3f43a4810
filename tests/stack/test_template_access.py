"""Permissions, the bucket, the repositories and the queues in the template."""

import json

import pytest

from tests.stack.support.template import (
    JOB_QUEUES,
    OUTPUTS,
    REPOSITORIES,
    of_type,
    properties,
    statements,
    texts,
)

QUEUES_OF_RUNS = {
    "Sub": [
        "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${Runs}*",
        {"Runs": OUTPUTS["BatchRunQueuePrefix"]["Value"]},
    ]
}


# Permissions


def test_workers_may_use_payloads_and_messages_and_nothing_else():
    """They read what runs of this stack and submissions have stored, and write results.

    They may not list the bucket, and neither write runs' records nor receive results.
    """
    policy = statements("BatchWorkerPolicy")
    assert policy.keys() == {"Payloads", "Results", "Submissions", "Tasks", "Answers"}
    assert policy["Payloads"]["Resource"] == {"Sub": "${BatchBucket.Arn}/runs/*"}
    assert policy["Results"]["Resource"] == {"Sub": "${BatchBucket.Arn}/runs/*/results/*"}
    archives = {"Sub": "${BatchBucket.Arn}/submissions/*/files.tar.gz"}
    assert policy["Submissions"]["Resource"] == archives
    actions = {action for one in policy.values() for action in texts(one["Action"])}
    assert not any("*" in action for action in actions)
    assert not actions & {"s3:ListBucket", "s3:DeleteObject", "sqs:CreateQueue", "sqs:DeleteQueue"}
    assert not any(action.startswith(("batch:", "iam:")) for action in actions)
    assert QUEUES_OF_RUNS in policy["Answers"]["Resource"]
    own, runs = policy["Tasks"]["Resource"]
    assert own == {"GetAtt": "BatchInQueue.Arn"}
    assert runs["Sub"] == [QUEUES_OF_RUNS["Sub"][0] + "-tasks", QUEUES_OF_RUNS["Sub"][1]]


def test_main_may_start_workers_and_end_them():
    """Main submits jobs of this stack's definitions to its queues, and watches and ends jobs."""
    policy = statements("BatchMainPolicy")
    jobs, workers, main, definitions = policy["Jobs"]["Resource"]
    assert jobs["Sub"].endswith(":job/*"), "the service authorization reference demands it"
    assert [workers, main] == [{"Ref": name} for name in JOB_QUEUES]
    pattern, values = definitions["Sub"]
    assert pattern.endswith(":job-definition/${Prefix}JobDefinition*")
    assert values["Prefix"] == {
        "If": ["Named", {"Ref": "ServiceName"}, {"Sub": "${AWS::StackName}-"}]
    }
    assert policy["Jobs"]["Action"] == "batch:SubmitJob"
    queues = {"sqs:CreateQueue", "sqs:DeleteQueue", "sqs:TagQueue"}
    assert set(policy["QueuesOfRuns"]["Action"]) == queues
    assert policy["QueuesOfRuns"]["Resource"] == QUEUES_OF_RUNS
    assert set(policy["Ending"]["Action"]) == {"batch:TagResource", "batch:TerminateJob"}
    everywhere = {name for name, one in policy.items() if one["Resource"] == "*"}
    assert everywhere == {"Watching"}, "AWS knows no resources of describing and listing"
    assert all(
        action.partition(":")[2].startswith(("Describe", "List"))
        for action in policy["Watching"]["Action"]
    )


def test_main_reads_the_outputs_by_the_stacks_name():
    """DescribeStacks by name is allowed on the ARN with any id, not on that of the stack's own."""
    pattern, values = statements("BatchMainPolicy")["Outputs"]["Resource"]["Sub"]
    assert pattern.endswith(":stack/${Name}/*")
    assert values == {"Name": {"Ref": "AWS::StackName"}}


def test_jobs_can_be_given_one_more_policy():
    """Both roles take the policy that a user gives, for buckets of the user's own."""
    for name in ("BatchWorkerRole", "BatchMainRole"):
        extra = {"If": ["ExtraPolicy", {"Ref": "ExtraPolicyArn"}, {"Ref": "AWS::NoValue"}]}
        assert extra in properties(name)["ManagedPolicyArns"]


def test_machines_pull_this_stack_s_images_and_write_its_logs_only():
    """Their role is that of ECS's agent: other images, logs and services are not its business."""
    assert properties("BatchInstanceRole")["ManagedPolicyArns"] == [{"Ref": "BatchInstancePolicy"}]
    policy = statements("BatchInstancePolicy")
    assert policy["Images"]["Resource"] == [{"GetAtt": f"{name}.Arn"} for name in REPOSITORIES]
    assert "${BatchLogGroup}" in policy["Logs"]["Resource"]["Sub"]
    everywhere = {name: one["Action"] for name, one in policy.items() if one["Resource"] == "*"}
    assert everywhere == {"Endpoints": ["ecr:GetAuthorizationToken", "ecs:DiscoverPollEndpoint"]}
    services = {text.partition(":")[0] for one in policy.values() for text in texts(one["Action"])}
    assert services == {"ecs", "ecr", "logs"}


def test_roles_can_be_bounded():
    """Each role takes the permissions boundary that an administrator may demand."""
    bounded = {"If": ["Bounded", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    roles = of_type("AWS::IAM::Role")
    assert len(roles) == 4
    assert all(properties(name)["PermissionsBoundary"] == bounded for name in roles)


def test_roles_have_no_names():
    """CAPABILITY_IAM is enough, and a second stack's roles do not collide."""
    assert not [name for name in of_type("AWS::IAM::Role") if "RoleName" in properties(name)]
    assert not [
        name
        for name in of_type("AWS::IAM::ManagedPolicy")
        if "ManagedPolicyName" in properties(name)
    ]


# What is kept


def test_the_bucket_is_private_and_encrypted():
    """Objects are encrypted and never public, and are read and written over TLS only."""
    bucket = properties("BatchBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0][
        "ServerSideEncryptionByDefault"
    ]
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    only_tls = statements("BatchBucketPolicy")["OnlyTLS"]
    assert (only_tls["Effect"], only_tls["Action"], only_tls["Principal"]) == ("Deny", "s3:*", "*")
    assert only_tls["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert len(only_tls["Resource"]) == 2


def test_the_bucket_forgets():
    """What runs and submissions left expires, and so do unfinished uploads; the rest stays."""
    *left, uploads = properties("BatchBucket")["LifecycleConfiguration"]["Rules"]
    assert [rule["Prefix"] for rule in left] == ["runs/", "submissions/"]
    for rule in left:
        assert (rule["ExpirationInDays"], rule["Status"]) == ({"Ref": "RunDays"}, "Enabled")
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert uploads["Status"] == "Enabled"


@pytest.mark.parametrize("name", REPOSITORIES)
def test_images_are_scanned_and_expire(name):
    """Images are scanned on push, and all go with the repository.

    Those that a newer one has replaced expire, but not the last ones: runs that have begun name
    them by their digest.
    """
    assert properties(name)["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(properties(name)["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    kept = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 3}
    assert rule["selection"] == kept
    assert rule["action"] == {"type": "expire"}
    assert properties(name)["EmptyOnDelete"] is True


@pytest.mark.parametrize("name", ["BatchInQueue", "BatchOutQueue"])
def test_queues_are_encrypted_and_take_large_messages(name):
    """They are like those that runs make: encrypted, 1 MiB a message, two weeks, TLS only."""
    queue = properties(name)
    assert (queue["SqsManagedSseEnabled"], queue["MaximumMessageSize"]) == (True, 1024 * 1024)
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert {"Ref": name} in properties("BatchQueuePolicy")["Queues"]
