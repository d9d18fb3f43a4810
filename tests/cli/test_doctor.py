"""`rios-awsbatch doctor`: what is here and reachable, with a remedy for what is not."""

import subprocess
import sys

import pytest

from rios_plugin_awsbatch.cli import checks
from rios_plugin_awsbatch.cli.checks import Check, examine
from rios_plugin_awsbatch.hosts import autoload
from tests.cli.support import run

OPTIMIZED = """
from rios_plugin_awsbatch.cli.checks import examine
for finding in examine():
    print(f"{finding.what}|{finding.verdict}")
"""


def findings(**options):
    return {one.what: one for one in examine(**options)}


@pytest.mark.usefixtures("cloud")
def test_a_good_stack_is_good():
    """Versions, settings, credentials, stack, bucket, queues; its jobs need no image."""
    found = findings()
    for what in (
        "Python",
        "cloudpickle",
        "AWS credentials",
        "Stack RIOS in ap-southeast-2",
        "Bucket",
        "Queues",
        "Job queue",
        "Worker image",
    ):
        assert found[what].verdict == "good", found[what]
        assert not found[what].remedy
    timeout = found["RIOS_AWSBATCH_STARTUP_TIMEOUT"]
    assert timeout.detail == "120.0 (from RIOS_AWSBATCH_STARTUP_TIMEOUT)"
    assert found["RIOS_AWSBATCH_MAX_ATTEMPTS"].detail == "3 (default)"
    assert "the embedded AWS" in found["AWS credentials"].detail
    assert "not needed, as the embedded AWS" in found["Worker image"].detail
    assert not [one for one in found.values() if one.verdict == "bad"]


def test_doctor_and_worker_agree_on_the_embedded_aws():
    """Where a worker answers, nothing is bad, and the command says so by its exit status."""
    ended = run("local", "--workers", "1", "--", "rios-awsbatch", "doctor", "--worker")
    assert "ok   Worker: answers" in ended.out
    assert "BAD" not in ended.out
    assert ended.code == 0


@pytest.fixture
def real_aws(cloud, monkeypatch):
    """The embedded AWS, taken for the real one."""
    monkeypatch.setattr(checks, "SERVER", "another server")
    return cloud


@pytest.mark.usefixtures("real_aws")
def test_an_image_that_was_not_pushed_is_bad():
    """On AWS, no worker could start without it."""
    found = findings()
    image = found["Worker image"]
    assert (image.verdict, image.remedy) == ("bad", "Build the image and push it.")
    assert "embedded" not in found["AWS credentials"].detail


@pytest.mark.parametrize(
    ("variables", "detail"),
    [
        ({"RIOS_AWSBATCH_REGION": "us-east-1"}, "us-east-1 (from RIOS_AWSBATCH_REGION)"),
        ({"AWS_REGION": "us-west-2"}, "us-west-2 (from AWS_REGION)"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "ap-southeast-2 (default)"),
    ],
)
def test_where_the_region_comes_from_is_shown(cloud, monkeypatch, variables, detail):  # noqa: ARG001 - the AWS
    """The settings' own variable, one of AWS's, or nothing at all."""
    monkeypatch.delenv("RIOS_AWSBATCH_REGION")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert findings()["RIOS_AWSBATCH_REGION"].detail == detail


@pytest.mark.usefixtures("cloud")
def test_without_docstrings_every_finding_has_its_name():
    """`python -OO` drops docstrings."""
    command = [sys.executable, "-OO", "-c", OPTIMIZED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = [line.partition("|")[0] for line in done.stdout.splitlines()]
    assert "" not in names
    assert {"Bucket", "Queues", "Job queue", "Worker image"} <= set(names)


def test_what_aws_refuses_is_a_finding_with_the_check_s_name(cloud):
    """The other checks are made all the same."""

    def refused(*_):
        cloud.s3.head_object(Bucket=cloud.bucket, Key="nothing")

    finding = Check("Object", refused).finding(None, None, None)
    assert (finding.what, finding.verdict) == ("Object", "bad")
    assert finding.remedy


@pytest.mark.parametrize("form", ["riosJobDefinition", "riosJobDefinition:1", "arn"])
def test_a_job_definition_may_be_named_in_any_way_that_batch_takes(real_aws, monkeypatch, form):
    """A name, a name with a revision, an ARN: the setting takes what works for a run."""
    if form == "arn":
        found = real_aws.batch.describe_job_definitions(jobDefinitionName="riosJobDefinition")
        form = found["jobDefinitions"][0]["jobDefinitionArn"]
    monkeypatch.setenv("RIOS_AWSBATCH_JOB_DEFINITION", form)
    image = findings()["Worker image"]
    assert image.remedy == "Build the image and push it."
    assert image.detail.endswith("is not there")


@pytest.mark.usefixtures("cloud")
def test_a_job_definition_that_is_not_there_is_named(monkeypatch):
    """Neither is a revision that was never registered."""
    for name in ("riosJobDefinition:99", "nothing"):
        monkeypatch.setenv("RIOS_AWSBATCH_JOB_DEFINITION", name)
        image = findings()["Worker image"]
        assert (image.verdict, image.detail) == ("bad", f"there is no job definition {name}")


@pytest.mark.usefixtures("cloud")
def test_a_variable_that_is_no_setting_is_named(monkeypatch):
    """A misspelt name would have no effect, and nobody would say so."""
    monkeypatch.setenv("RIOS_AWSBATCH_MAX_ATEMPTS", "9")
    monkeypatch.setenv("RIOS_AWSBATCH_AUTOLOAD", "1")
    monkeypatch.setenv("RIOS_AWSBATCH_THREADS", "4")
    found = findings()
    assert found["RIOS_AWSBATCH_MAX_ATEMPTS"].verdict == "note"
    assert "RIOS_AWSBATCH_AUTOLOAD" not in found
    assert "RIOS_AWSBATCH_THREADS" not in found


def test_a_stack_that_is_not_there_is_the_last_finding(acting_as, monkeypatch):
    """What depends on it is not checked, and the remedy says what to do."""
    acting_as("owner")
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
    """With --worker one is started, and its versions are compared with those here."""
    found = findings(ask_worker=True)
    assert found["Worker"].verdict == "good"
    assert found["Worker"].detail.startswith("answers, with Python 3.")
    # It runs on the same machine.
    assert not [what for what in found if what.endswith("of the worker")]


@pytest.mark.usefixtures("cloud")
def test_whoever_may_not_see_a_stack_is_told_that_its_name_may_be_wrong(monkeypatch):
    """The policy for main scripts is for one stack; AWS does not say whether another one exists."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "Nowhere")
    *_, last = findings().values()
    assert (last.verdict, last.what) == ("bad", "Stack Nowhere in ap-southeast-2")
    assert "RIOS_AWSBATCH_STACK" in last.remedy
    assert "stack policy --for main" in last.remedy


def test_the_command_exits_with_1_if_something_is_bad(acting_as):
    """Each finding is a line; the remedy is beneath it."""
    acting_as("owner")
    ended = run("doctor", RIOS_AWSBATCH_STACK="Nowhere")
    assert ended.code == 1
    assert "ok   Python: 3." in ended.out
    assert "BAD  Stack Nowhere in ap-southeast-2: There is no stack" in ended.out
    assert "     -> Create the stack, or set RIOS_AWSBATCH_STACK" in ended.out


def test_the_hook_says_itself_whether_it_is_installed():
    """Importing the package installs it."""
    before = list(sys.meta_path)
    assert autoload.installed()
    try:
        kept = [one for one in before if getattr(one, "__qualname__", "") != "RiosFinder"]
        sys.meta_path[:] = kept
        assert not autoload.installed()
        autoload.install()
        assert autoload.installed()
    finally:
        sys.meta_path[:] = before
