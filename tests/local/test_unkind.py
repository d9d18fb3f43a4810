"""Unkind mode: the outages that each service may have, and who is spared them."""

import collections
import contextlib
import http.client

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_passing
from rios_plugin_awsbatch.local.unkind import SLOW, SUBMIT_LOST, TRAITS, Unkindness
from tests.support.helpers import instrument

ALWAYS = (1.0, 0.0, 0.0)
REQUESTS = {
    "s3": lambda client: client.list_buckets(),
    "sqs": lambda client: client.list_queues(),
    "batch": lambda client: client.describe_job_queues(),
    "cloudformation": lambda client: client.list_stacks(),
    "ecr": lambda client: client.describe_repositories(),
    "logs": lambda client: client.describe_log_groups(),
    "sts": lambda client: client.get_caller_identity(),
}
CODES = {
    "s3": (503, "SlowDown"),
    "sqs": (400, "RequestThrottled"),
    "batch": (429, "TooManyRequestsException"),
    "cloudformation": (400, "Throttling"),
    "ecr": (400, "ThrottlingException"),
    "logs": (400, "ThrottlingException"),
    "sts": (400, "Throttling"),
}
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def odds(owner):
    """What is to happen to the requests of the account's owner."""
    return owner.aws.control.odds


@pytest.mark.parametrize("service", REQUESTS)
class TestOutages:
    def test_requests_are_throttled(self, service, odds):
        """With the service's own code, and boto3 understands it."""
        with odds(throttled=ALWAYS), pytest.raises(ClientError) as error:
            REQUESTS[service](boto3.Session().client(service, config=ONCE))
        response = error.value.response
        assert (
            response["ResponseMetadata"]["HTTPStatusCode"],
            response["Error"]["Code"],
        ) == CODES[service]
        assert is_passing(error.value)

    def test_requests_fail_within_aws(self, service, odds):
        with odds(server_error=ALWAYS), pytest.raises(ClientError) as error:
            REQUESTS[service](boto3.Session().client(service, config=ONCE))
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert error.value.response["Error"]["Code"] != "500"

    @pytest.mark.parametrize("trait", ["dropped", "answer_lost"])
    def test_connections_break(self, service, trait, odds):
        client = boto3.Session().client(service, config=ONCE)
        with odds(**{trait: ALWAYS}), pytest.raises((NoConnectionError, HTTPClientError)):
            REQUESTS[service](client)

    @pytest.mark.parametrize("trait", ["html", "cut"])
    def test_answers_are_html_or_cut(self, service, trait, odds):
        """This package's clients see that it is no answer, and that it may pass."""
        client = Clients("ap-southeast-2")._client(service)
        with odds(**{trait: ALWAYS}), pytest.raises(AWS_ERRORS) as error:
            REQUESTS[service](client)
        assert is_passing(error.value)

    def test_who_is_spared_sees_none_of_it(self, service, odds):
        """Tests look with clients that AWS is always kind to."""
        with odds(throttled=ALWAYS, dropped=ALWAYS, html=ALWAYS):
            assert REQUESTS[service](instrument(service))


def test_what_is_lost_has_been_done(odds):
    """The client does not know, and asks again."""
    sqs = boto3.Session().client("sqs", config=ONCE)
    with odds(answer_lost=ALWAYS), pytest.raises((NoConnectionError, HTTPClientError)):
        sqs.create_queue(QueueName="made-unheard")
    listed = instrument("sqs").list_queues(QueueNamePrefix="made-unheard")
    assert len(listed["QueueUrls"]) == 1


def test_what_is_dropped_has_not(odds):
    sqs = boto3.Session().client("sqs", config=ONCE)
    with odds(dropped=ALWAYS), pytest.raises((NoConnectionError, HTTPClientError)):
        sqs.create_queue(QueueName="never-made")
    assert "QueueUrls" not in instrument("sqs").list_queues(QueueNamePrefix="never-made")


def test_a_seed_decides_the_same_each_time():
    """Each trait by itself: how often another one was asked for makes no difference."""

    def decided(seed, others):
        unkindness = Unkindness(seed)
        with unkindness.during("batch"):
            for _ in range(others):
                unkindness.seconds(SLOW)
            return [unkindness.happens(SUBMIT_LOST) for _ in range(1000)]

    assert decided(1, others=0) == decided(1, others=7)
    assert decided(1, others=0) != decided(2, others=0)
    assert any(decided(1, others=0))


def test_no_seed_is_kind():
    unkindness = Unkindness(None)
    with unkindness.during("batch"):
        assert not any(unkindness.happens(trait) for trait in TRAITS.values())
        assert not any(unkindness.seconds(trait) for trait in TRAITS.values())


def test_a_trait_befalls_its_services_only():
    """A queue that CloudFormation makes is there when it says so."""
    everything = dict.fromkeys(TRAITS, ALWAYS)
    happened = collections.defaultdict(set)
    for service in ("batch", "sqs", "cloudformation", ""):
        unkindness = Unkindness(None)
        unkindness.set_odds(everything)
        with unkindness.during(service):
            happened[service] = {
                name for name, trait in TRAITS.items() if unkindness.happens(trait)
            }
    common = {name for name, trait in TRAITS.items() if not trait.services}
    assert happened["cloudformation"] == common
    assert "submit lost" in happened["batch"] - happened["sqs"]
    assert "twice" in happened["sqs"] - happened["batch"]
    assert happened[""] == set()


def test_an_unknown_order_is_an_error(local_aws):
    """Not silence, so that a test cannot order what does not exist."""

    def status(order, body):
        address = local_aws.endpoint.removeprefix("http://")
        with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
            connection.request("POST", f"/_control/{order}", body=body)
            return connection.getresponse().status

    assert status("rain", "{}") == 404
    assert status("odds", '{"odds": {"rain": [1, 0, 0]}}') == 400
