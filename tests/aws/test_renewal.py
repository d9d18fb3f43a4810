"""Renewal: a run that is under way waits for credentials, says so once, and goes on."""

import logging
import time

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, UnauthorizedSSOTokenError

from rios_plugin_awsbatch.aws import patience, renewal
from rios_plugin_awsbatch.aws.patience import Patience
from rios_plugin_awsbatch.aws.renewal import Renewal


def error(code, operation="ReceiveMessage"):
    return ClientError({"Error": {"Code": code}}, operation)


LAPSES = [
    error("ExpiredToken"),
    error("ExpiredTokenException"),
    error("InvalidClientTokenId"),
    error("RequestTimeTooSkewed"),
    error("SignatureDoesNotMatch"),
    error("AccessDenied", "AssumeRole"),
    NoCredentialsError(),
    UnauthorizedSSOTokenError(),
]
OTHERS = [error("AccessDenied"), error("QueueDoesNotExist"), ValueError("bug")]


@pytest.fixture
def quick(monkeypatch):
    """Let repetitions follow at once."""
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.001)


class Refused:
    """A call that AWS refuses so many times."""

    def __init__(self, refusal, times):
        self.refusal, self.left = refusal, times

    def __call__(self):
        if self.left:
            self.left -= 1
            raise self.refusal
        return "answer"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("refusal", LAPSES, ids=str)
def test_the_call_is_repeated_until_credentials_are_good(caplog, refusal):
    """One line says that the run waits and why, one that it goes on."""
    caplog.set_level(logging.INFO)
    patient = Patience(renewal=Renewal(60, "run=r", safe="Nothing is lost."))
    assert patient.call(Refused(refusal, 3), what="receive results") == "answer"
    waits, goes_on = [record.getMessage() for record in caplog.records]
    assert waits.startswith("run=r waits up to 60 s for credentials: ")
    assert waits.endswith("Nothing is lost.")
    assert goes_on.startswith("run=r goes on: ")


@pytest.mark.parametrize("refusal", OTHERS, ids=str)
def test_other_errors_are_raised_at_once(refusal):
    """A denial is no lapse."""
    with pytest.raises(type(refusal)):
        Patience(renewal=Renewal(60, "run=r")).call(Refused(refusal, 1))


@pytest.mark.parametrize("waits", [None, Renewal(0, "run=r")])
@pytest.mark.parametrize("refusal", LAPSES, ids=str)
def test_who_only_begins_is_told_at_once(refusal, waits):
    """And so is who has set the time to 0."""
    with pytest.raises(type(refusal)):
        Patience(renewal=waits).call(Refused(refusal, 1))


@pytest.mark.usefixtures("quick")
def test_the_time_counts_from_the_first_error_of_a_lapse(monkeypatch):
    """For all threads together; after a success, the next lapse has the whole time again."""
    now = [0.0]
    monkeypatch.setattr(renewal.time, "monotonic", lambda: now[0])
    lapse = Renewal(60, "run=r")
    assert lapse.awaits(LAPSES[0])
    now[0] = 59.0
    assert lapse.awaits(LAPSES[0])
    now[0] = 60.0
    assert not lapse.awaits(LAPSES[0])
    lapse.succeeded(time.monotonic())
    assert lapse.awaits(LAPSES[0])


def test_the_end_of_a_run_ends_the_waiting():
    """Whoever closes a run waits for no login."""
    lapse = Renewal(60, "run=r")
    lapse.end()
    assert not lapse.awaits(LAPSES[0])


def test_a_request_of_before_the_lapse_says_nothing():
    """A long poll may be answered after the credentials have ended."""
    lapse, before = Renewal(60, "run=r"), time.monotonic()
    assert lapse.awaits(LAPSES[0])
    lapse.succeeded(before - 1)
    assert lapse._since is not None


def test_two_lapses_are_told_twice(caplog):
    """Many threads notice each; one line tells it."""
    lapse = Renewal(60, "run=r")
    for _ in range(2):
        for _ in range(3):
            assert lapse.awaits(LAPSES[0])
        for _ in range(3):
            lapse.succeeded(time.monotonic())
    assert len(caplog.records) == 4


@pytest.mark.usefixtures("quick")
def test_an_outage_after_a_lapse_has_the_whole_time():
    """What was waited for credentials does not count as an outage."""
    call = iter([LAPSES[0], error("SlowDown")])

    def asked():
        for refusal in call:
            raise refusal
        return "answer"

    assert Patience(outage=60, renewal=Renewal(60, "run=r")).call(asked) == "answer"
