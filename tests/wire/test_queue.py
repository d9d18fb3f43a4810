"""What a queue is taken to have done: no more than its answers say."""

import pytest

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.wire import queue
from rios_plugin_awsbatch.wire.queue import MessageQueue


class Answering:
    """An SQS client with given answers; the last one is given again and again."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.sent = []

    def send_message_batch(self, *, QueueUrl, Entries):  # noqa: N803 - boto3's names
        assert QueueUrl == "url"
        self.sent.append([entry["MessageBody"] for entry in Entries])
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def change_message_visibility_batch(self, *, QueueUrl, Entries, **_):  # noqa: N803
        assert (QueueUrl, len(Entries)) == ("url", 3)
        return self._answers[0]

    def get_queue_attributes(self, **_):
        return self._answers[0]


def successful(*ids):
    return {"Successful": [{"Id": identity} for identity in ids]}


def test_a_message_that_no_answer_lists_is_sent_again():
    """An answer without it is no success, whatever its status; what was taken is not repeated."""
    sqs = Answering(successful("0", "2"), {}, successful("1"))
    MessageQueue(sqs, "url").send(["a", "b", "c"])
    assert sqs.sent == [["a", "b", "c"], ["b"], ["b"]]


def test_a_message_that_is_never_listed_is_an_error(monkeypatch):
    """It says so after a while."""
    monkeypatch.setattr(queue, "REFUSAL_SECONDS", 0.0)
    with pytest.raises(AWSBatchException, match="says nothing of it"):
        MessageQueue(Answering({}), "url").send(["a"])


def test_what_cannot_be_extended_is_told():
    """Messages that are deleted, or others' already; not those that SQS could not extend now."""
    failed = [{"Id": "0", "SenderFault": False}, {"Id": "2", "SenderFault": True}]
    answering = Answering({"Failed": failed})
    assert MessageQueue(answering, "url").extend(["a", "b", "c"], 60) == ["c"]


def test_a_queue_is_not_empty_unless_it_says_so():
    """A count that is missing counts as one."""
    names = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
    counts = {"Attributes": dict.fromkeys(names, "0")}
    assert MessageQueue(Answering(counts), "url").count() == 0
    assert MessageQueue(Answering({"Attributes": {}}), "url").count() == 3
    assert MessageQueue(Answering({}), "url").count() == 3
