"""SQS in unkind mode: as unkind as its documentation says."""

import collections
import uuid

import pytest
from botocore.exceptions import ClientError

from tests.local.support import Account, code_of
from tests.support.helpers import eventually

HOURS = 3600
ALWAYS = (1.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def customer(local_aws):
    """An account whose clients are treated as everybody's; each test says how."""
    return Account(local_aws, spared=False)


@pytest.fixture
def odds(local_aws):
    return local_aws.control.odds


@pytest.fixture
def control(local_aws, odds):
    """Orders to an AWS that is kind but for them."""
    with odds():
        yield local_aws.control


def fill(account, count, **attributes):
    """Return the URL of a queue with so many messages, "0" and so on."""
    url = account.queue(**attributes)
    for number in range(count):
        account.send(url, str(number))
    return url


def bodies(messages):
    return [int(message["Body"]) for message in messages]


def test_short_poll_finds_nothing_although_there_are_messages(customer, odds):
    """A long poll finds them."""
    with odds(short_poll_empty=ALWAYS):
        url = fill(customer, 3)
        assert customer.receive(url, count=10) == []
        assert bodies(customer.receive(url, count=10, wait=1)) == [0, 1, 2]


def test_a_long_poll_returns_fewer_than_there_are(customer, odds):
    """It always returns one at least, and the next polls return the others."""
    with odds(fewer=ALWAYS):
        url = fill(customer, 20)
        sizes = []
        while sum(sizes) < 20:
            sizes.append(len(customer.receive(url, count=10, wait=1)))
    assert 0 not in sizes
    assert min(sizes) < 10


def test_messages_come_out_of_order(customer, odds):
    """And none is lost."""
    with odds(out_of_order=ALWAYS):
        url = fill(customer, 20)
        received = [body for _ in range(2) for body in bodies(customer.receive(url, 10, wait=1))]
    assert sorted(received) == [*range(20)]
    assert received != [*range(20)]


def test_a_message_comes_twice(customer, odds):
    """Both copies have the message's id, and each a receipt of its own; to delete one leaves the
    other.
    """
    with odds(twice=ALWAYS):
        url = fill(customer, 1)
        (first,) = customer.receive(url, wait=1)
    with odds():
        customer.sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        (second,) = customer.receive(url, wait=1)
        assert second["MessageId"] == first["MessageId"]
        assert second["ReceiptHandle"] != first["ReceiptHandle"]
        customer.sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
        assert customer.messages(url) == 0


def test_single_messages_of_a_batch_fail(customer, odds):
    """The request succeeds, and lists them as no fault of the sender's."""
    entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(10)]
    with odds(entry_failed=(0.5, 0.0, 0.0)):
        url = customer.queue()
        answer = customer.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    failed = {failure["Id"] for failure in answer["Failed"]}
    assert {(failure["Code"], failure["SenderFault"]) for failure in answer["Failed"]} == {
        ("InternalError", False)
    }
    assert failed | {taken["Id"] for taken in answer["Successful"]} == {e["Id"] for e in entries}
    with odds():
        assert customer.messages(url) == 10 - len(failed)


def test_a_new_queue_is_unknown_to_some_requests_for_a_while(customer, odds):
    """Others find it already, and in the end all do."""
    with odds(queue_unknown=(1.0, 0.5, 0.5), queue_missed=(0.5, 0.0, 0.0)):
        url = customer.queue()
        outcomes = collections.Counter()

        def sent():
            try:
                customer.send(url)
            except ClientError as error:
                outcomes[error.response["Error"]["Code"]] += 1
            else:
                outcomes["sent"] += 1
            return outcomes["sent"] > 5

        eventually(sent)
        assert outcomes["AWS.SimpleQueueService.NonExistentQueue"] > 0


def test_the_name_of_a_deleted_queue_is_blocked_for_a_minute(customer, odds, local_aws):
    name = f"gone-{uuid.uuid4().hex}"
    with odds(name_blocked=(1.0, 60.0, 60.0)):
        url = customer.sqs.create_queue(QueueName=name)["QueueUrl"]
        customer.sqs.delete_queue(QueueUrl=url)
        with pytest.raises(ClientError) as error:
            customer.sqs.create_queue(QueueName=name)
        assert code_of(error) == "AWS.SimpleQueueService.QueueDeletedRecently"
        local_aws.control.advance(60)
        assert customer.sqs.create_queue(QueueName=name)["QueueUrl"] == url


def test_a_message_is_hidden_for_12_hours_at_most(customer, control):
    """That counts from its receive: what would go beyond is refused, what does not is granted."""
    url = fill(customer, 1)
    (message,) = customer.receive(url, VisibilityTimeout=12 * HOURS, wait=1)
    receipt = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    control.advance(7 * HOURS)
    with pytest.raises(ClientError, match="beyond the limit") as error:
        customer.sqs.change_message_visibility(**receipt, VisibilityTimeout=6 * HOURS)
    assert code_of(error) == "InvalidParameterValue"
    customer.sqs.change_message_visibility(**receipt, VisibilityTimeout=4 * HOURS)
    assert customer.receive(url) == []
    control.advance(4 * HOURS)
    assert bodies(customer.receive(url, wait=1)) == [0]


def test_a_second_receive_begins_the_12_hours_anew(customer, control):
    url = fill(customer, 1)
    customer.receive(url, VisibilityTimeout=10 * HOURS, wait=1)
    control.advance(10 * HOURS)
    (again,) = customer.receive(url, VisibilityTimeout=60, wait=1)
    customer.sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=11 * HOURS
    )
    assert customer.receive(url) == []
