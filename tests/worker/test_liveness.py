"""A worker whose main is gone ends; one that only cannot see main goes on."""

import datetime as dt
import threading
from email.utils import format_datetime

import botocore.exceptions
import pytest

from rios_plugin_awsbatch.settings import WorkerSettings
from rios_plugin_awsbatch.worker.liveness import Liveness

OUTAGE = botocore.exceptions.EndpointConnectionError(endpoint_url="https://s3")
MISSING = botocore.exceptions.ClientError({"Error": {"Code": "404"}}, "HeadObject")
DENIED = botocore.exceptions.ClientError({"Error": {"Code": "403"}}, "HeadObject")
LOOK = 12


class Bucket:
    """S3, as far as it tells the age of one object; and the time."""

    def __init__(self):
        self.s3 = self
        self.now = 1_000_000.0
        self.written = self.now
        self.error = None

    def head_object(self, **_):
        if self.error is not None:
            raise self.error
        date = format_datetime(at(self.now), usegmt=True)
        headers = {"HTTPHeaders": {"date": date}}
        return {"LastModified": at(self.written), "ResponseMetadata": headers}


def at(seconds):
    return dt.datetime.fromtimestamp(int(seconds), dt.timezone.utc)


class Watched:
    """A worker's view of main; each look is `LOOK` seconds after the one before."""

    def __init__(self, monkeypatch):
        self.bucket = Bucket()
        self._slept = 0.0
        monkeypatch.setattr(
            "rios_plugin_awsbatch.worker.liveness.time.monotonic",
            lambda: self.bucket.now - self._slept,
        )
        settings = WorkerSettings(
            run="r", run_key="0" * 64, bucket="b", in_queue="i", out_queue="o", main_timeout=120
        )
        self._liveness = Liveness(self.bucket, settings, print, threading.Event())

    def look(self, seconds, *, renewed=False):
        """Look for so many seconds; return the reason to end."""
        for _ in range(seconds // LOOK):
            self.bucket.now += LOOK
            if renewed and self.bucket.now - self.bucket.written >= 30:
                self.bucket.written = self.bucket.now
            if reason := self._liveness._reason_to_end():
                return reason
        return ""

    def sleep(self, seconds):
        """Let the machine sleep: its own clock stands still."""
        self.bucket.now += seconds
        self._slept += seconds


@pytest.fixture
def watched(monkeypatch):
    return Watched(monkeypatch)


def test_a_worker_goes_on_as_long_as_main_renews_the_record(watched):
    """For hours."""
    assert watched.look(36_000, renewed=True) == ""


def test_a_worker_ends_within_two_minutes_when_main_is_gone(watched):
    """Two minutes from the latest renewal; the reason says for how long."""
    watched.look(600, renewed=True)
    reason = watched.look(120)
    assert "its main is gone" in reason
    assert watched.bucket.now - watched.bucket.written <= 120


@pytest.mark.parametrize("error", [OUTAGE, DENIED, MISSING])
def test_what_a_worker_cannot_see_says_nothing_about_main(watched, error):
    """An outage of S3, or no permission; nor does a record that was never there."""
    watched.bucket.error = error
    assert watched.look(36_000) == ""


def test_after_an_outage_main_has_the_time_to_renew_the_record(watched):
    """Main could not write either."""
    watched.look(600, renewed=True)
    watched.bucket.error = OUTAGE
    watched.look(3600)
    watched.bucket.error = None
    assert watched.look(24) == ""
    assert watched.look(600, renewed=True) == ""


def test_a_machine_that_slept_waits_for_main_to_wake(watched):
    """Main and its workers may be on one laptop."""
    watched.look(600, renewed=True)
    watched.sleep(36_000)
    assert watched.look(24) == ""
    assert watched.look(600, renewed=True) == ""


def test_a_record_that_has_been_deleted_is_the_end_of_the_run(watched):
    """It was there before."""
    watched.look(60, renewed=True)
    watched.bucket.error = MISSING
    assert "its record has been deleted" in watched.look(LOOK)


def test_who_may_not_list_the_bucket_takes_a_denial_for_that(watched):
    """S3 does not tell workers what is missing; a policy may be changed meanwhile, too."""
    watched.look(60, renewed=True)
    watched.bucket.error = DENIED
    assert watched.look(LOOK) == ""
    assert "its record cannot be read any more" in watched.look(120)


def test_a_worker_that_starts_when_main_is_long_gone_ends_at_once(watched):
    """Its job has waited for a place; thousands may wait, and each would cost a minute."""
    watched.bucket.now += 3600
    assert "its main is gone" in watched.look(LOOK)
