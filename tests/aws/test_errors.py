"""What errors of boto3's mean: told by class and code, with real errors."""

import email.utils
import os
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.retries import standard

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import (
    AWS_ERRORS,
    error_code,
    explained,
    is_lapse,
    is_missing_object,
    is_missing_queue,
    is_missing_stack,
    is_passing,
    sentence_for,
)
from rios_plugin_awsbatch.errors import StackError
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import read_stack
from tests.aws.support import Answer
from tests.support.helpers import without_aws

SSO = """
[profile dev]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = role
"""
SSO_SESSION = """
[profile dev]
sso_session = mine
sso_account_id = 123456789012
sso_role_name = role
[sso-session mine]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
"""
PROCESS = """
[profile dev]
credential_process = false
"""
HALF = """
[profile dev]
aws_access_key_id = id
"""
OTHER = """
[profile other]
region = us-east-1
"""


@pytest.fixture
def profile(monkeypatch, tmp_path):
    """Return a function that lets boto3 use the profile `dev` of a configuration."""
    for name in os.environ.keys() - without_aws().keys():
        monkeypatch.delenv(name)
    for name, value in without_aws().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))  # where a token would be

    def use(text):
        config = tmp_path / "config"
        config.write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "dev")

    return use


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (SSO, "you are not logged in to AWS"),
        (SSO_SESSION, "you are not logged in to AWS"),
        (PROCESS, "the AWS credentials cannot be retrieved"),
        (HALF, "there are no AWS credentials; run `aws configure`"),
        (OTHER, "correct AWS_PROFILE, or add the profile"),
        ("not a configuration", "Unable to parse config file"),
    ],
    ids=["sso", "sso session", "process", "half a key", "unknown profile", "broken file"],
)
def test_credentials_that_cannot_be_had_are_never_a_missing_stack(profile, config, sentence):
    """The sentence says to log in, or what else to do, and not to create the stack."""
    profile(config)
    with pytest.raises(StackError) as caught:
        read_stack(Clients("ap-southeast-2"), load(Settings))
    assert "Cannot read stack RIOS in ap-southeast-2: " in str(caught.value)
    assert sentence in str(caught.value)
    assert "create" not in str(caught.value)


def test_no_credentials_at_all(profile, monkeypatch):
    """Nor is that a missing stack."""
    profile(OTHER)
    monkeypatch.delenv("AWS_PROFILE")
    with pytest.raises(StackError, match="there are no AWS credentials; run `aws configure`"):
        read_stack(Clients("ap-southeast-2"), load(Settings))


def test_aws_that_cannot_be_reached():
    """No connection is an outage, which may pass."""
    once = Config(retries={"total_max_attempts": 1}, signature_version=UNSIGNED)
    client = boto3.client("sts", "us-east-1", endpoint_url="http://127.0.0.1:1", config=once)
    with pytest.raises(AWS_ERRORS) as caught:
        client.get_caller_identity()
    assert is_passing(caught.value)
    assert sentence_for(caught.value).startswith("AWS cannot be reached (")


def answered(clients, answers, code, status=400, service="batch"):
    """Return the error that boto3 makes of a code of AWS's."""
    if service == "batch":
        answers.set(Answer(b"{}", status, headers={"x-amzn-errortype": code}))
        call = lambda: clients.batch.describe_jobs(jobs=["1"])  # noqa: E731
    elif service == "sqs":
        answers.set(Answer(b'{"__type": "com.amazonaws.sqs#%s"}' % code.encode(), status))
        call = lambda: clients.sqs.receive_message(QueueUrl="http://queue/1/tasks")  # noqa: E731
    elif service == "cloudformation":
        body = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"
        answers.set(Answer(body.encode(), status, "text/xml"))
        call = lambda: clients.cloudformation.describe_stacks(StackName="RIOS")  # noqa: E731
    else:
        answers.set(Answer(f"<Error><Code>{code}</Code></Error>".encode(), status, "text/xml"))
        call = lambda: clients.s3.get_object(Bucket="bucket", Key="key")  # noqa: E731
    with pytest.raises(ClientError) as caught:
        call()
    assert error_code(caught.value) == code
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "service"),
    [
        ("ExpiredTokenException", 403, "batch"),
        ("UnrecognizedClientException", 403, "batch"),
        ("ExpiredToken", 403, "cloudformation"),
        ("InvalidClientTokenId", 403, "cloudformation"),
        ("InvalidAccessKeyId", 403, "s3"),
        ("InvalidToken", 400, "s3"),
    ],
)
def test_credentials_that_aws_does_not_accept_are_to_be_renewed(
    clients, answers, code, status, service
):
    """Each service has codes of its own for that."""
    error = answered(clients, answers, code, status, service)
    assert sentence_for(error) == f"AWS does not accept the credentials ({code}); renew them."
    assert not is_passing(error)


@pytest.mark.parametrize(
    ("code", "service"),
    [("AccessDeniedException", "batch"), ("AccessDenied", "s3"), ("AccessDenied", "sqs")],
)
def test_what_the_credentials_do_not_allow(clients, answers, code, service):
    """AWS's own words say what it was."""
    error = answered(clients, answers, code, 403, service)
    assert sentence_for(error).startswith("these credentials do not allow that (")
    assert not is_passing(error)


def test_a_bucket_that_the_credentials_do_not_allow(clients, answers):
    """The answer to a HEAD request has a status, and no code."""
    answers.set(Answer(status=403))
    with pytest.raises(ClientError) as caught:
        clients.s3.head_bucket(Bucket="bucket")
    assert sentence_for(caught.value).startswith("these credentials do not allow that (")


def test_an_object_that_is_missing(clients, answers):
    """It has a code, unless only its head was asked for."""
    assert is_missing_object(answered(clients, answers, "NoSuchKey", 404, "s3"))
    assert not is_missing_object(answered(clients, answers, "AccessDenied", 403, "s3"))
    answers.set(Answer(status=404))
    with pytest.raises(ClientError) as caught:
        clients.s3.head_object(Bucket="bucket", Key="key")
    assert is_missing_object(caught.value)


def test_a_queue_that_is_missing(clients, answers):
    """SQS's two protocols have a code each."""
    assert is_missing_queue(answered(clients, answers, "QueueDoesNotExist", 400, "sqs"))
    old = "AWS.SimpleQueueService.NonExistentQueue"
    assert is_missing_queue(ClientError({"Error": {"Code": old}}, "ReceiveMessage"))
    assert not is_missing_queue(answered(clients, answers, "AccessDenied", 403, "sqs"))
    assert not is_missing_queue(ValueError())


def test_a_stack_that_is_missing(clients, answers):
    """Whatever the words: CloudFormation's may change."""
    assert is_missing_stack(answered(clients, answers, "ValidationError", 400, "cloudformation"))
    assert not is_missing_stack(answered(clients, answers, "AccessDenied", 403, "cloudformation"))
    assert not is_missing_stack(BotoCoreError())


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "SignatureDoesNotMatch"])
@pytest.mark.parametrize(("minutes", "way"), [(38, "ahead of"), (-400, "behind")])
def test_a_wrong_clock_is_told_by_the_time_of_aws_s_answer(code, minutes, way):
    """SignatureDoesNotMatch alone would look like a wrong key."""
    date = email.utils.formatdate(time.time() - 60 * minutes, usegmt=True)
    metadata = {"HTTPHeaders": {"date": date}, "HTTPStatusCode": 403}
    error = ClientError({"Error": {"Code": code}, "ResponseMetadata": metadata}, "GetObject")
    assert f"({code}), as this machine's clock is {abs(minutes)} minutes {way} AWS's" in (
        sentence_for(error)
    )
    assert is_lapse(error)
    assert not is_passing(error)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("SignatureDoesNotMatch", "the secret access key does not belong to the key's id"),
        ("InvalidSignatureException", "the secret access key does not belong to the key's id"),
        ("RequestExpired", "set this machine's clock"),
        ("OptInRequired", "complete its sign-up"),
        ("AuthFailure", "renew them"),
    ],
)
def test_a_signature_or_an_account_has_its_advice(code, words):
    """Where the clock is right, or the answer does not tell the time."""
    assert words in sentence_for(ClientError({"Error": {"Code": code}}, "GetObject"))


def test_botocore_s_own_list_of_throttling_is_known():
    """A botocore that has moved it must be noticed; each of its codes passes."""
    known = standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES
    known = [*known, *standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES]
    assert len(known) > 10
    for code in known:
        assert is_passing(ClientError({"Error": {"Code": code}}, "Anything"))


@pytest.mark.parametrize(
    "code",
    [
        "AWS.SimpleQueueService.OverLimit",
        "KmsThrottled",
        "OverLimit",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "ThrottlingException",
        "TooManyRequestsException",
    ],
)
def test_throttling_may_pass(code):
    """AWS asks to try again later."""
    assert is_passing(ClientError({"Error": {"Code": code}}, "DescribeJobs"))
    assert not is_passing(ClientError({"Error": {"Code": "ClientException"}}, "DescribeJobs"))


def test_trouble_within_aws_may_pass():
    """Statuses from 500 on say so."""
    for status, passes in ((429, True), (500, True), (503, True), (400, False), (404, False)):
        answer = {"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        assert is_passing(ClientError(answer, "GetObject")) is passes


def test_an_error_of_somebody_else_does_not_pass():
    """It is a bug, and repeating it does not help."""
    assert not is_passing(KeyError("jobs"))
    assert sentence_for(ValueError("no number")) == "no number"


def test_an_explained_error_has_boto3_s_as_its_cause(clients, answers):
    """What failed is named, and why; what is not boto3's goes through."""
    answers.set(Answer(b"{}", 403, headers={"x-amzn-errortype": "AccessDeniedException"}))
    with (
        pytest.raises(StackError, match="Cannot look: these credentials do not") as caught,
        explained(StackError, "Cannot look"),
    ):
        clients.batch.describe_jobs(jobs=["1"])
    assert isinstance(caught.value.__cause__, ClientError)
    with pytest.raises(KeyError), explained(StackError, "Cannot look"):
        raise KeyError("jobs")
