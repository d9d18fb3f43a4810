"""Who calls the embedded AWS, and what it lets them do: users, and jobs with their roles."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.local.credentials import AccessKey, Credentials
from tests.local.support import Account, code_of

ENDPOINT = "http://127.0.0.1:1"
READER = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "sqs:*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "sqs:DeleteQueue", "Resource": "*"},
        ],
    }
)
# Prints whose credentials a job has, and how each of its requests is answered.
ASKS = """
import boto3, os
from botocore.exceptions import ClientError

def answer(service, operation, **parameters):
    try:
        getattr(boto3.client(service), operation)(**parameters)
    except ClientError as error:
        print(operation, error.response["Error"]["Code"], flush=True)
    else:
        print(operation, "ok", flush=True)

print({name for name in os.environ if "KEY" in name or "TOKEN" in name})
bucket = os.environ["RIOSBucket"]
answer("s3", "put_object", Bucket=bucket, Key="runs/1/results/1", Body=b"1")
answer("s3", "put_object", Bucket=bucket, Key="runs/1/run.json", Body=b"1")
answer("s3", "get_object", Bucket=bucket, Key="runs/1/results/1")
answer("s3", "get_object", Bucket=bucket, Key="runs/1/missing")
answer("s3", "list_objects_v2", Bucket=bucket)
answer("batch", "describe_jobs", jobs=["1"])
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """An embedded AWS with a user who may read objects and use queues, and a record of calls."""
    record = tmp_path_factory.mktemp("record") / "calls"
    users = {"reader": [READER]}
    with LocalAWS(1, users=users, activate=False, record=record) as made:
        made.record = record
        yield made


@pytest.fixture(scope="module")
def owner(aws):
    return Account(aws)


@pytest.fixture
def client(aws):
    """Return a function that makes a client of somebody's."""

    def make(service, who, **more):
        key = aws.environment_of(who)
        return boto3.client(
            service,
            endpoint_url=aws.endpoint,
            region_name=key["AWS_REGION"],
            **{
                "aws_access_key_id": key["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": key["AWS_SECRET_ACCESS_KEY"],
                **more,
            },
        )

    return make


def test_main_may_do_what_the_stack_s_policy_says_and_nothing_else(client, owner):
    """Runs' queues and jobs are its own; other queues and the stack are not."""
    sqs = client("sqs", "main")
    url = sqs.create_queue(QueueName="RIOS-run-1-tasks")["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(ClientError) as caught:
        sqs.create_queue(QueueName="production")
    assert code_of(caught) == "AccessDenied"
    assert caught.value.response["Error"]["Message"] == (
        "User: arn:aws:iam::123456789012:user/main is not authorized to perform: sqs:createqueue "
        "on resource: arn:aws:sqs:ap-southeast-2:123456789012:production because no "
        "identity-based policy allows the sqs:createqueue action"
    )
    assert "production" not in str(owner.sqs.list_queues())


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("s3", "create_bucket", {"Bucket": "mine"}, "AccessDenied"),
        ("s3", "head_bucket", {"Bucket": "mine"}, "403"),
        ("sqs", "list_queues", {}, ""),
        ("batch", "describe_jobs", {"jobs": ["1"]}, "AccessDeniedException"),
        ("batch", "terminate_job", {"jobId": "1", "reason": "x"}, "AccessDeniedException"),
        ("logs", "describe_log_groups", {}, "AccessDeniedException"),
        ("ecr", "describe_repositories", {}, "AccessDeniedException"),
        ("cloudformation", "delete_stack", {"StackName": "RIOS"}, "AccessDenied"),
        ("iam", "get_role", {"RoleName": "x"}, "AccessDenied"),
        ("sts", "get_caller_identity", {}, ""),
    ],
)
def test_each_service_refuses_in_its_own_way(client, service, operation, parameters, code):
    """boto3 sees the code of the service; what needs no permission is not refused."""
    call = getattr(client(service, "reader"), operation)
    if not code:
        call(**parameters)
        return
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert code_of(caught) == code
    status = 400 if service in {"logs", "ecr"} else 403
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_denial_is_told_as_one(client, owner):
    """AWS's sentence says whether a statement denies it, or none allows it."""
    url = owner.queue()
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        client("sqs", "reader").delete_queue(QueueUrl=url)


def test_a_missing_object_is_denied_to_those_who_may_not_list_the_bucket(client, owner):
    """S3 does not tell them whether it exists."""
    wanted = {"Bucket": owner.bucket, "Key": "missing"}
    with pytest.raises(ClientError) as caught:
        client("s3", "reader").get_object(**wanted)
    assert code_of(caught) == "AccessDenied"
    with pytest.raises(ClientError) as caught:
        client("s3", "main").get_object(**wanted)
    assert code_of(caught) == "NoSuchKey"


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("sqs", "list_queues", "InvalidClientTokenId"),
        ("batch", "describe_job_queues", "UnrecognizedClientException"),
        ("cloudformation", "describe_stacks", "InvalidClientTokenId"),
    ],
)
def test_a_key_that_nobody_has_is_refused(client, service, operation, code):
    """Whoever guesses a key is told that it is invalid, as AWS does."""
    with pytest.raises(ClientError) as caught:
        getattr(client(service, "main", aws_access_key_id="AKIAGUESSED"), operation)()
    assert code_of(caught) == code


def test_a_request_that_nobody_signed_is_refused(aws):
    """Nothing can be done without a key."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{aws.endpoint}/{'bucket'}?list-type=2", timeout=10)
    assert caught.value.code == 403


def test_a_job_has_the_credentials_of_its_role_and_no_others(owner):
    """A worker writes results and reads; records, listing and Batch are not its own."""
    job = owner.ended(owner.submit(sys.executable, "-c", ASKS))
    assert owner.output(job) == [
        "set()",
        "put_object ok",
        "put_object AccessDenied",
        "get_object ok",
        "get_object AccessDenied",
        "list_objects_v2 AccessDenied",
        "describe_jobs AccessDeniedException",
    ]
    owner.s3.delete_object(Bucket=owner.bucket, Key="runs/1/results/1")


def test_a_job_without_a_role_has_no_credentials(owner):
    """Its definition names none, so there is no endpoint to ask."""
    name = owner.define()
    job = owner.ended(owner.shell("echo [$AWS_CONTAINER_CREDENTIALS_FULL_URI]", definition=name))
    assert owner.output(job) == ["[]"]


def test_the_record_says_who_needed_what(aws, client, owner):
    """Each different call is one line, after a line with the policies of its caller."""
    url = owner.queue()
    for _ in range(2):
        client("sqs", "reader").send_message(QueueUrl=url, MessageBody="recorded")
    entries = [json.loads(line) for line in aws.record.read_text().splitlines()]
    mine = [one for one in entries if one["caller"] == "reader"]
    assert mine[0]["policies"] == {"reader-0": json.loads(READER)}
    (sent,) = [one for one in mine if one.get("action") == "sqs:SendMessage"]
    queue = f"arn:aws:sqs:ap-southeast-2:123456789012:{url.rpartition('/')[2]}"
    assert (sent["resource"], sent["allowed"]) == (queue, True)
    assert sent["context"]["aws:PrincipalArn"] == "arn:aws:iam::123456789012:user/reader"


def test_a_principal_that_is_nobody_is_refused():
    """The error names those that there are."""
    with pytest.raises(AWSBatchException, match="principal is x; give owner or main or reader"):
        LocalAWS(principal="x", users={"reader": [READER]})


# The credentials of jobs


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


def asked(credentials, variables):
    """Return what the endpoint answers to a job."""
    path = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].removeprefix(ENDPOINT)
    seen = []
    app = credentials.served_by(lambda *_: pytest.fail("asked moto"))
    (body,) = app({"PATH_INFO": path}, lambda *given: seen.append(given))
    return seen[0][0], json.loads(body)


def test_credentials_are_renewed_before_they_expire():
    """Half of the time they are the same, then others; those before are valid until they expire."""
    clock = Clock()
    credentials = Credentials({"main": AccessKey("AKIA1", "secret")}, seconds=3600, clock=clock)
    with credentials.of_role(ENDPOINT, "arn:aws:iam::1:role/worker") as variables:
        status, first = asked(credentials, variables)
        assert (status, first["RoleArn"]) == ("200 OK", "arn:aws:iam::1:role/worker")
        assert first["Expiration"] == "1970-01-12T14:46:40Z"
        clock.now += 1700
        assert asked(credentials, variables)[1] == first
        clock.now += 200
        second = asked(credentials, variables)[1]
        assert second["AccessKeyId"] != first["AccessKeyId"]
        caller = credentials.caller(first["AccessKeyId"])
        assert caller.role == "arn:aws:iam::1:role/worker"
        assert not credentials.has_expired(caller)
        clock.now += 1700
        assert credentials.has_expired(caller)
        assert not credentials.has_expired(credentials.caller(second["AccessKeyId"]))
        assert not credentials.has_expired(credentials.caller("AKIA1"))


def test_a_job_that_has_ended_gets_no_more_credentials():
    """Its URL leads nowhere, as one that somebody guesses does."""
    credentials = Credentials({})
    with credentials.of_role(ENDPOINT, "arn:aws:iam::1:role/worker") as variables:
        pass
    status, told = asked(credentials, variables)
    assert (status, told["code"]) == ("400 Bad Request", "InvalidId")


def test_the_command_s_principal_is_chosen():
    """`rios-awsbatch local --principal` says as whom a command runs; by default it may do all."""
    code = "import boto3; boto3.client('sqs').create_queue(QueueName='mine')"
    command = [sys.executable, "-c", code]
    program = os.path.join(os.path.dirname(sys.executable), "rios-awsbatch")  # noqa: PTH118, PTH120
    done = {
        who: subprocess.run(
            [program, "local", "--workers", "1", *who, "--", *command],
            capture_output=True,
            text=True,
            check=False,
        )
        for who in ((), ("--principal", "main"))
    }
    assert done[()].returncode == 0, done[()].stderr
    refused = done[("--principal", "main")]
    assert refused.returncode == 1
    assert "is not authorized to perform: sqs:createqueue" in refused.stderr
