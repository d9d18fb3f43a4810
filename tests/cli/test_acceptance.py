"""`rios-awsbatch acceptance`: what it prints, what it asks, and how it ends."""

import json
import os
import signal
import subprocess

import pytest

from rios_plugin_awsbatch.acceptance.walk import PROMISES
from tests.cli.support import run
from tests.support.commands import SCRIPTS
from tests.support.helpers import eventually


def test_the_promises_are_listed_with_their_documents():
    """Without credentials, and without trying any."""
    listed = run("acceptance", "--list")
    assert listed.code == 0
    for promise in PROMISES:
        assert f"{promise.name}: {promise.text}\n    {promise.document}\n" in listed.out
    described = json.loads(run("acceptance", "--list", "--json", "--only", "queues").out)
    assert {one["name"].partition(".")[0] for one in described} == {"queues"}


@pytest.mark.usefixtures("cloud")
def test_the_outcomes_are_json_or_lines_or_a_table():
    """On the embedded AWS nothing costs money, so nothing is asked."""
    words = ["acceptance", "--only", "queues.size"]
    outcomes = json.loads(run(*words, "--json").out)["outcomes"]
    assert [(one["name"], one["verdict"]) for one in outcomes] == [("queues.size", "not shown")]
    assert outcomes[0]["requests"] >= 3
    plain = run(*words, "--plain")
    assert plain.code == 0
    assert plain.out.startswith("not shown queues.size: the embedded AWS cannot show it")
    assert "(estimate; prices of " in plain.out
    assert "queues.size" in run(*words).out


@pytest.mark.usefixtures("cloud")
def test_a_promise_that_is_not_there_is_told():
    """With the way to see those that are."""
    ended = run("acceptance", "--only", "queues.sise")
    assert ended.code == 1
    assert "no promise queues.sise" in ended.err
    assert "--list" in ended.err


def test_ctrl_c_takes_everything_down(cloud):
    """The outcomes so far are printed all the same."""
    command = [SCRIPTS / "rios-awsbatch", "acceptance", "--only", "queues.visibility", "--plain"]
    process = subprocess.Popen(
        command, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    eventually(cloud.run_queues)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Deleting what was made" in err
    assert "in all (estimate" in out
    assert not cloud.run_queues()
