"""Who uses an embedded AWS, and from when to when: within the context, all of this process."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading

import boto3
import pytest

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local import LocalAWS
from rios_plugin_awsbatch.local.activation import Activation
from rios_plugin_awsbatch.local.environment import client_environment
from tests.support.helpers import PATIENCE

SUITE = """
from rios_plugin_awsbatch import BatchExecutor, REGION, STACK_NAME
from rios_plugin_awsbatch.local import LocalAWS

with LocalAWS(workers=1, region="us-east-1", stack="Mine"), BatchExecutor(1) as executor:
    from rios_plugin_awsbatch import REGION, STACK_NAME
    print(REGION, STACK_NAME, *executor.map(abs, [-1, -2]))
"""
FORGETFUL = """
import logging, threading
from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.local import LocalAWS

with LocalAWS(workers=1) as aws:
    executor = BatchExecutor(1)
    print(executor.submit(abs, -3).result())
    late = executor.submit(__import__("time").sleep, 600)
print(late.cancelled(), [one.name for one in threading.enumerate()])
"""


def variables():
    """Return the environment, without what pytest changes in it."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture
def foreign(monkeypatch):
    """The environment of somebody who uses AWS, which must come back; return it."""
    monkeypatch.setenv("AWS_PROFILE", "of-another-account")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://192.0.2.1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("RIOS_AWSBATCH_IN_QUEUE", "https://elsewhere/queue")
    monkeypatch.delenv("ADDED_MEANWHILE", raising=False)
    yield variables()
    os.environ.pop("ADDED_MEANWHILE", None)


def activation(port, **options):
    """Return an activation of an AWS that need not be there."""
    return Activation(client_environment(f"http://127.0.0.1:{port}", "r", "s"), **options)


@contextlib.contextmanager
def real_aws():
    """Stand for the real AWS: a port, and a list that grows with each connection to it."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def count():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connections.append(1)
                    connection.close()

        threading.Thread(target=count, daemon=True).start()
        yield server.getsockname()[1], connections


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_what_runs_inside_never_reaches_another_aws():
    """A suite that is run "locally" with credentials in the environment starts no paid job."""
    with real_aws() as (port, connections):
        done = run(
            SUITE,
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
            AWS_ACCESS_KEY_ID="real",
            AWS_SECRET_ACCESS_KEY="real",
            RIOS_AWSBATCH_REGION="eu-north-1",
            RIOS_AWSBATCH_STACK="Production",
        )
    assert done.stdout == "us-east-1 Mine 1 2\n", done.stderr
    assert connections == []


def test_what_is_left_open_ends_with_it():
    """Nothing of a run outlives its AWS, which would be asked again and again at the exit."""
    done = run(FORGETFUL)
    assert done.stdout == "3\nTrue ['MainThread']\n", done.stderr
    assert done.stderr == ""


def test_entering_activates_and_leaving_restores(foreign):
    """Leaving restores what entering changed, and leaves alone what others have set meanwhile."""
    with contextlib.suppress(KeyError), LocalAWS(workers=0) as aws:
        assert os.environ["AWS_ENDPOINT_URL"] == aws.endpoint
        assert os.environ["AWS_MAX_ATTEMPTS"] == "2"
        assert "AWS_PROFILE" not in os.environ
        url = boto3.Session().client("sqs").create_queue(QueueName="here")["QueueUrl"]
        assert url.startswith(aws.endpoint)
        with pytest.raises(AWSBatchException, match="entered already"):
            aws.__enter__()
        os.environ["ADDED_MEANWHILE"] = "1"
        raise KeyError
    assert variables() == {**foreign, "ADDED_MEANWHILE": "1"}


def test_one_that_is_not_to_be_activated_changes_nothing(foreign):
    """With activate=False, only `activated` and processes with its variables use it."""
    with LocalAWS(workers=0, activate=False) as aws:
        assert variables() == foreign
        with aws.activated():
            assert os.environ["AWS_ENDPOINT_URL"] == aws.endpoint
        assert variables() == foreign
    assert variables() == foreign


def test_activated_leads_here_and_restores_exactly(account, foreign):
    """activated() takes the place of another AWS's variables, and restores them after an error."""
    with contextlib.suppress(KeyError), account.aws.activated():
        assert os.environ["AWS_MAX_ATTEMPTS"] == "2"
        assert "RIOS_AWSBATCH_IN_QUEUE" not in os.environ
        sqs = boto3.Session().client("sqs")
        url = sqs.create_queue(QueueName="RIOS-run-given-activated")["QueueUrl"]
        assert url.startswith(account.aws.endpoint)
        os.environ["ADDED_MEANWHILE"] = "1"
        raise KeyError
    assert variables() == foreign


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_last_that_was_activated_is_in_force_in_whatever_order_they_end(foreign, order, exact):
    """The environment leads to an embedded AWS that is alive, and at the end it is as before."""
    alive = {port: activation(port, exact=exact) for port in range(3)}
    for one in alive.values():
        one.begin()
    for port in order:
        alive.pop(port).end()
        expected = f"http://127.0.0.1:{max(alive)}" if alive else foreign.get("AWS_ENDPOINT_URL")
        assert os.environ.get("AWS_ENDPOINT_URL") == expected
        assert ("AWS_PROFILE" in os.environ) == (not alive)
    assert variables() == foreign


def test_threads_may_enter_and_leave_at_any_time(foreign):
    """While any thread is inside, no thread reaches another AWS; afterwards all is as before."""
    outside = []
    together = threading.Barrier(4)

    def enter_and_leave(port):
        together.wait()
        for _ in range(200):
            mine = activation(port)
            mine.begin()
            outside.append(os.environ.get("AWS_PROFILE"))
            mine.end()

    threads = [threading.Thread(target=enter_and_leave, args=(port,)) for port in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outside == [None] * 800
    assert variables() == foreign
