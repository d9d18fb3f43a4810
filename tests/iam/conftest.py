"""The stack's policies, as CloudFormation resolves them, and those that people paste."""

import json

import boto3
import pytest

from tests.support.callers import USERS


@pytest.fixture(scope="session")
def policies(local_aws):
    """By caller: documents by their names."""
    key = local_aws.environment_of("owner")
    iam = boto3.client(
        "iam",
        endpoint_url=local_aws.endpoint,
        region_name=key["AWS_REGION"],
        aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
    )
    found = {}
    for one in iam.list_policies(Scope="Local")["Policies"]:
        version = iam.get_policy_version(PolicyArn=one["Arn"], VersionId=one["DefaultVersionId"])
        found[one["PolicyName"]] = version["PolicyVersion"]["Document"]

    def named(name):
        (document,) = [text for policy, text in found.items() if f"-{name}-" in policy]
        return {name: document}

    return {
        "BatchWorkerRole": named("BatchWorkerPolicy"),
        "BatchMainRole": named("BatchMainPolicy"),
        "main": named("BatchMainPolicy"),
        **{
            user: {f"{user}-{number}": json.loads(text) for number, text in enumerate(texts)}
            for user, texts in USERS.items()
        },
    }
