"""`rios-awsbatch doctor`: what is here and reachable, with a remedy for what is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from rios_plugin_awsbatch.cli.doctor import examine


def findings(**options):
    return {one.what: one for one in examine(**options)}


@pytest.mark.usefixtures("cloud")
def test_a_good_stack_is_good():
    """Versions, settings, credentials, stack, bucket, queues: each is a line; the image is yet to be pushed."""
    found = findings()
    for what in (
        "Python",
        "cloudpickle",
        "AWS credentials",
        "Stack RIOS in ap-southeast-2",
        "Bucket",
        "Job queue",
    ):
        assert found[what].verdict == "good", found[what]
        assert not found[what].remedy
    assert (
        found["RIOS_AWSBATCH_STARTUP_TIMEOUT"].detail
        == "120.0 (from RIOS_AWSBATCH_STARTUP_TIMEOUT)"
    )
    assert found["RIOS_AWSBATCH_MAX_ATTEMPTS"].detail == "3 (default)"
    image = found["Worker image"]
    assert (image.verdict, image.remedy) == ("bad", "Build the image and push it.")


@pytest.mark.usefixtures("cloud")
def test_a_variable_that_is_no_setting_is_named(monkeypatch):
    """A typing error would otherwise be without effect and without a word."""
    monkeypatch.setenv("RIOS_AWSBATCH_MAX_ATEMPTS", "9")
    monkeypatch.setenv("RIOS_AWSBATCH_AUTOLOAD", "1")
    found = findings()
    assert found["RIOS_AWSBATCH_MAX_ATEMPTS"].verdict == "note"
    assert "RIOS_AWSBATCH_AUTOLOAD" not in found


@pytest.mark.usefixtures("cloud")
def test_a_stack_that_is_not_there_is_the_last_finding(monkeypatch):
    """What depends on it is not looked at, and the remedy says what to do."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    *_, last = findings().values()
    assert (last.verdict, last.what) == ("bad", "Stack Nowhere in ap-southeast-2")
    assert "Create the stack" in last.remedy


@pytest.mark.usefixtures("cloud")
def test_a_setting_that_cannot_be_used_is_the_last_finding(monkeypatch):
    """The variable and its value are named."""
    monkeypatch.setenv("RIOS_AWSBATCH_MAX_ATTEMPTS", "many")
    *_, last = findings().values()
    assert (last.verdict, last.what) == ("bad", "Settings")
    assert "RIOS_AWSBATCH_MAX_ATTEMPTS='many'" in last.detail


@pytest.mark.usefixtures("cloud")
def test_a_worker_is_asked():
    """With --worker one is started, and what it runs on is compared with what is here."""
    found = findings(ask_worker=True)
    assert found["Worker"].verdict == "good"
    assert found["Worker"].detail.startswith("answers, with Python 3.")
    assert not [what for what in found if what.endswith("of the worker")], (
        "it runs on the same machine"
    )


@pytest.mark.usefixtures("cloud")
def test_the_command_exits_with_1_if_something_is_bad(monkeypatch):
    """Each finding is a line; the remedy is beneath it."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    command = [Path(sys.executable).parent / "rios-awsbatch", "doctor"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "ok   Python: 3." in ended.stdout
    assert "BAD  Stack Nowhere in ap-southeast-2: There is no stack" in ended.stdout
    assert "     -> Create the stack, or set RIOS_AWSBATCH_STACK" in ended.stdout
