"""Credentials that end while a run is under way: it waits for new ones, and loses nothing."""

import concurrent.futures
import functools
import logging

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import AWSBatchException, StackError
from rios_plugin_awsbatch.local import LocalAWS
from tests.support.blocks import Stage, gated_block, noted_block
from tests.support.faults import Faults, Rule
from tests.support.helpers import Cloud, eventually


@pytest.fixture(scope="module")
def faulty():
    """An embedded AWS with faults."""
    middleware = "tests.support.faults:factory"
    with LocalAWS(workers=2, stop_grace=1.0, activate=False, middleware=middleware) as aws:
        yield Cloud(aws)


@pytest.fixture
def faults(faulty, monkeypatch, tmp_path):
    """The switch; main has a key of the account's owner, from a file. `log_in` changes it."""
    with faulty.aws.activated():
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        switch = Faults(faulty.aws.endpoint)
        switch.log_in = functools.partial(write_key, tmp_path, faulty)
        switch.log_in("owner")
        yield switch
        switch.set()
        switch.log_in("owner")
        eventually(lambda: not faulty.left(), lambda: f"a run has left {faulty.left()}")


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def over(faulty):
    """What happens when the owner's key has expired."""
    key = faulty.aws.environment_of("owner")["AWS_ACCESS_KEY_ID"]
    return [Rule("expired", service, contains=key) for service in ("sqs", "s3", "batch")]


def write_key(folder, cloud, principal):
    keys = cloud.aws.environment_of(principal)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    written = "".join(f"{name.lower()} = {keys[name]}\n" for name in names)
    (folder / "credentials").write_text(f"[default]\n{written}")


def lines(caplog):
    return [one.getMessage() for one in caplog.records if "credentials" in one.getMessage()]


def test_a_run_waits_until_somebody_logs_in(faults, over, stage, tmp_path, caplog):
    """Tasks that were sent before come back, those that were submitted meanwhile are computed."""
    caplog.set_level(logging.INFO, "rios_plugin_awsbatch")
    with BatchExecutor(2) as executor:
        before = [executor.submit(gated_block, number, str(tmp_path)) for number in range(4)]
        stage.nth_call(2)
        faults.set(*over)
        meanwhile = [executor.submit(noted_block, number, str(tmp_path)) for number in range(4, 8)]
        stage.open_gate()
        eventually(lambda: lines(caplog), lambda: "nobody says that it waits")
        assert not concurrent.futures.wait(meanwhile, timeout=1.0).done
        faults.log_in("main")
        done = concurrent.futures.wait([*before, *meanwhile], timeout=60).done
        assert len(done) == 8
        assert all(future.result().shape == (64, 64) for future in done)
    waits, goes_on = lines(caplog)
    assert "waits up to 3600 s for credentials: AWS does not accept" in waits
    assert "(ExpiredToken); renew them. What workers have computed is safe" in waits
    assert "AWS accepts the credentials" in goes_on


def test_a_run_waits_no_longer_than_it_may(faults, over, stage, tmp_path):
    """The error says what to do."""
    with BatchExecutor(1, credentials_timeout=1.0) as executor:
        executor.submit(gated_block, 1, str(tmp_path))
        stage.nth_call(1)
        faults.set(*over)
        future = executor.submit(abs, -1)
        with pytest.raises(AWSBatchException, match="does not accept the credentials"):
            future.result(60)
        faults.log_in("main")  # in time to take the run down
        stage.open_gate()


def test_who_begins_with_credentials_that_are_over_is_told_at_once(faults, over):
    """There is nothing to lose yet."""
    faults.set(*over)
    with pytest.raises(StackError, match="renew them"), BatchExecutor(1) as executor:
        executor.submit(abs, -1)
