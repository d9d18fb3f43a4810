"""SQS keeps messages as AWS does, also for many clients at once."""

import http.client
import json

import pytest
from botocore.exceptions import ClientError

from tests.local.support import code_of, in_background, in_threads


def test_each_message_goes_to_one_receiver(account):
    """With many receivers and senders at once, each message is received once and none is lost."""
    url = account.queue(VisibilityTimeout="600")
    count, received = 300, []

    def work(index):
        if index < 4:
            for number in range(index, count, 4):
                account.send(url, str(number))
        while len(received) < count:
            for message in account.receive(url, count=3, wait=1):
                received.append(int(message["Body"]))
                account.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    in_threads(12, work)
    assert sorted(received) == list(range(count))
    attributes = account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    assert attributes["ApproximateNumberOfMessages"] == "0"
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_batches(account):
    """Ten messages are sent, received, hidden and deleted with one request each."""
    url = account.queue()
    bodies = [str(number) for number in range(10)]
    entries = [{"Id": body, "MessageBody": body} for body in bodies]
    assert len(account.sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10
    messages = account.receive(url, count=10)
    assert sorted(message["Body"] for message in messages) == bodies
    handles = [{"Id": m["Body"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
    hidden = [entry | {"VisibilityTimeout": 60} for entry in handles]
    answer = account.sqs.change_message_visibility_batch(QueueUrl=url, Entries=hidden)
    assert len(answer["Successful"]) == 10
    assert len(account.sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 10
    answer = account.sqs.change_message_visibility_batch(QueueUrl=url, Entries=hidden)
    assert len(answer["Failed"]) == 10


def test_receive_honours_its_maximum(account):
    """No more messages come than asked for."""
    url = account.queue()
    for _ in range(5):
        account.send(url)
    assert [len(account.receive(url, count=count)) for count in (1, 3, 10, 10)] == [1, 3, 1, 0]


def test_large_message(account):
    """A message of 1 MiB arrives as it was sent; a larger one is refused."""
    url = account.queue()
    body = "x" * (1 << 20)
    account.send(url, body)
    (message,) = account.receive(url)
    assert message["Body"] == body
    with pytest.raises(ClientError):
        account.send(url, body + "x")


def test_waiting_receiver_gets_a_new_message(account):
    """A long poll that found nothing ends with the message that is sent meanwhile."""
    url = account.queue()
    received = in_background(lambda: account.receive(url, wait=20))
    account.send(url)
    assert len(received()) == 1


def test_message_comes_back_when_its_time_is_up(account):
    """A message that is not deleted goes to a long poll when its visibility timeout is over."""
    url = account.queue(VisibilityTimeout="1")
    account.send(url)
    (first,) = account.receive(url)
    assert account.receive(url) == []
    (second,) = account.receive(url, wait=20)
    assert first["MessageId"] == second["MessageId"]
    assert [m["Attributes"]["ApproximateReceiveCount"] for m in (first, second)] == ["1", "2"]


def test_message_that_is_handed_back_is_visible_at_once(account):
    """A visibility of 0 gives the message to a waiting receiver."""
    url = account.queue(VisibilityTimeout="600")
    account.send(url)
    (message,) = account.receive(url)
    received = in_background(lambda: account.receive(url, wait=20))
    account.sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    assert [again["MessageId"] for again in received()] == [message["MessageId"]]


def test_heartbeat_keeps_a_message_hidden(account):
    """A message whose time-out is extended stays hidden beyond its first one."""
    url = account.queue(VisibilityTimeout="1")
    account.send(url)
    (message,) = account.receive(url)
    account.sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=600
    )
    assert account.receive(url, wait=2) == []


def test_stale_handle_deletes_nothing(account):
    """Deleting with the handle of an earlier receive succeeds, but leaves the message."""
    url = account.queue(VisibilityTimeout="0")
    account.send(url)
    (first,), (second,) = account.receive(url), account.receive(url)
    account.sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    (third,) = account.receive(url)
    assert third["MessageId"] == first["MessageId"] == second["MessageId"]
    account.sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    assert account.receive(url) == []
    account.sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])


def test_visibility_of_what_is_not_in_flight_cannot_be_changed(account):
    """A heartbeat for a message that has become visible again is refused, as by SQS."""
    url = account.queue(VisibilityTimeout="0")
    account.send(url)
    (message,) = account.receive(url)
    with pytest.raises(ClientError) as refused:
        account.sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=60
        )
    assert code_of(refused) == "InvalidParameterValue"


def test_delayed_message(account):
    """A delayed message is not there at first and comes to a waiting receiver in time."""
    url = account.queue()
    account.send(url, DelaySeconds=1)
    assert account.receive(url) == []
    assert len(account.receive(url, wait=20)) == 1


def test_dead_letter_queue(account):
    """A message that was received too often goes to the dead letter queue."""
    dead = account.queue()
    arn = account.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = account.queue(VisibilityTimeout="0", RedrivePolicy=policy)
    account.send(url)
    assert [len(account.receive(url)) for _ in range(3)] == [1, 1, 0]
    assert len(account.receive(dead)) == 1


def test_deleting_a_queue_ends_its_long_polls(account):
    """A long poll on a queue that is deleted ends with the error for a missing queue."""
    url = account.queue()
    received = in_background(lambda: account.receive(url, wait=20))
    account.sqs.delete_queue(QueueUrl=url)
    with pytest.raises(account.sqs.exceptions.QueueDoesNotExist):
        received()
    with pytest.raises(account.sqs.exceptions.QueueDoesNotExist):
        account.send(url)


def test_receiver_that_is_gone_gets_nothing(account):
    """A client that has closed its connection during a long poll does not get a message."""
    url = account.queue(VisibilityTimeout="600")
    scope = "testing/20260101/ap-southeast-2/sqs/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "AmazonSQS.ReceiveMessage",
    }
    receiver = http.client.HTTPConnection(account.aws.endpoint.removeprefix("http://"))
    receiver.request("POST", "/", json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}), headers)
    receiver.close()
    account.send(url)
    assert len(account.receive(url, wait=20)) == 1
