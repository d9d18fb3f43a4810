"""Patience: an outage that passes is waited out, and nothing else."""

import logging
import math
import threading
import time

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rios_plugin_awsbatch.aws import patience
from rios_plugin_awsbatch.aws.patience import Patience
from tests.aws.support import Answer
from tests.support.helpers import eventually

OUTAGE = EndpointConnectionError(endpoint_url="https://sqs")
MISSING = ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "ReceiveMessage")
DENIED = ClientError({"Error": {"Code": "AccessDenied"}}, "ReceiveMessage")


class Failing:
    """A call that raises errors, one after the other, and then returns "answer"."""

    def __init__(self, *errors):
        self._errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "answer"


class Lasting:
    """A call that always raises the same error."""

    def __init__(self, error):
        self._error = error
        self.called = threading.Event()

    def __call__(self):
        self.called.set()
        raise self._error


def test_a_call_that_succeeds_is_made_once():
    """And returns what it returned."""
    call = Failing()
    assert Patience().call(call) == "answer"
    assert call.calls == 1


def test_an_outage_that_passes_is_waited_out():
    """The call is made again until it succeeds."""
    call = Failing(OUTAGE, OUTAGE)
    assert Patience().call(call) == "answer"
    assert call.calls == 3


def test_an_answer_of_a_proxy_passes_too(clients, answers):
    """What is no answer of AWS's is an outage, until AWS answers."""
    answers.set(Answer(b"<html>", kind="text/html"), Answer(b'{"jobs": []}'))
    assert Patience().call(lambda: clients.batch.describe_jobs(jobs=["1"])["jobs"]) == []
    assert len(answers.asked) == 2


@pytest.mark.parametrize("error", [DENIED, MISSING, KeyError("jobs")])
def test_an_error_that_does_not_pass_is_raised_at_once(error):
    """Nobody waits for what cannot change."""
    call = Failing(error)
    with pytest.raises(type(error)):
        Patience().call(call)
    assert call.calls == 1


def test_an_outage_that_lasts_is_an_error_in_the_end():
    """The latest error is raised when the time is over."""
    begun = time.monotonic()
    with pytest.raises(EndpointConnectionError):
        Patience(outage=0.6).call(Lasting(OUTAGE))
    assert time.monotonic() - begun >= 0.6


def test_without_patience_an_outage_is_an_error_at_once():
    """Zero seconds are no seconds."""
    call = Failing(OUTAGE)
    with pytest.raises(EndpointConnectionError):
        Patience(outage=0).call(call)
    assert call.calls == 1


def test_each_call_has_the_whole_time():
    """An outage begins with the first error of a call, not with the first call."""
    patient = Patience(outage=0.6)
    for _ in range(3):
        assert patient.call(Failing(OUTAGE)) == "answer"


def test_waiting_can_be_ended():
    """Whoever ends a run does not wait for an outage: the error is raised."""
    ended, call, raised = threading.Event(), Lasting(OUTAGE), []

    def wait():
        try:
            Patience(outage=math.inf, ended=ended).call(call)
        except EndpointConnectionError as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert call.called.wait(60)
    ended.set()
    thread.join(60)
    assert raised == [OUTAGE]


def test_what_has_been_ended_before_waits_for_nothing(caplog):
    """The call is made once all the same, and no repetition is announced."""
    ended = threading.Event()
    ended.set()
    call = Failing(OUTAGE)
    with pytest.raises(EndpointConnectionError):
        Patience(ended=ended).call(call, what="receive results")
    assert call.calls == 1
    assert caplog.records == []


def test_a_new_queue_may_be_unknown_for_a_while():
    """CreateQueue is not true everywhere at once."""
    call = Failing(MISSING)
    assert Patience(new_queue=60).call(call) == "answer"
    assert call.calls == 2


def test_a_queue_that_stays_unknown_is_missing():
    """After that while, it has been deleted."""
    with pytest.raises(ClientError, match="QueueDoesNotExist"):
        Patience(new_queue=0.5).call(Lasting(MISSING))


def test_what_passes_can_be_told():
    """Some calls know better."""
    call = Failing(KeyError("soon"), KeyError("soon"))
    assert Patience(passes=lambda error: isinstance(error, KeyError)).call(call) == "answer"
    with pytest.raises(EndpointConnectionError):
        Patience(passes=lambda error: isinstance(error, KeyError)).call(Failing(OUTAGE))


def test_a_repetition_is_logged(caplog):
    """With a name it is a warning, without one for debugging."""
    caplog.set_level(logging.DEBUG, patience.__name__)
    Patience().call(Failing(OUTAGE), what="receive results")
    Patience().call(Failing(OUTAGE))
    (named, unnamed) = [record for record in caplog.records if record.name == patience.__name__]
    assert named.levelname == "WARNING"
    assert named.getMessage().startswith("will try again to receive results: AWS cannot be reached")
    assert unnamed.levelname == "DEBUG"


def test_many_threads_may_share_one():
    """It keeps nothing of a call."""
    patient, answers = Patience(), []
    threads = [
        threading.Thread(target=lambda: answers.append(patient.call(Failing(OUTAGE))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: answers == ["answer"] * 4)
    for thread in threads:
        thread.join()
