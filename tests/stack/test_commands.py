"""The commands on the stack, and the scripts that RIOS's users know."""

import sys

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.cli.stack import _create, createbatch, stack
from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.managed import ManagedStack
from rios_plugin_awsbatch.stack.report import report_on
from tests.stack.support.account import exists, tags
from tests.stack.support.stacks import (
    COMMAND,
    REGION,
    SCRIPTS,
    managed,
    outputs,
    run,
    run_on_terminal,
)
from tests.stack.support.template import PARAMETERS
from tests.support.helpers import eventually

pytestmark = pytest.mark.usefixtures("aws")


def script(name, *words, **environment):
    return run(sys.executable, SCRIPTS / name, *words, **environment)


def test_every_parameter_has_an_option():
    """The commands can set whatever the template can be told."""
    for command in (stack.commands["create"], stack.commands["modify"], createbatch):
        options = {option.name.lower() for option in command.params}
        without = {name for name in PARAMETERS if name.lower() not in options}
        assert without == {"AZ1", "AZ2", "AZ3"}
        assert "zones" in options


def test_the_scripts_that_rios_s_users_know():
    """createbatch.py creates and modifies, deletebatch.py deletes, with RIOS's options."""
    options = [
        "--ecrname",
        "scripts",
        "--vcpus",
        "2",
        "--mem",
        "2000",
        "--maxjobs",
        "3",
        "--tag",
        "team,maps",
    ]
    zones = [part for letter in "abc" for part in ("--az", REGION + letter)]
    environment = {"RIOS_AWSBATCH_STACK": "Scripts"}
    done = script("createbatch.py", "--wait", *options, *zones, **environment)
    assert done.returncode == 0, done.stderr
    assert "CREATE_COMPLETE  BatchBucket (AWS::S3::Bucket)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"Created stack Scripts in {REGION}.")
    expected = {"ECRName": "scripts", "VCPUS": "2", "MaxMemory": "2000", "MaxJobs": "3"}
    parameters = report_on(managed("Scripts")).parameters
    assert (expected | {"AZ3": f"{REGION}c"}).items() <= parameters.items()
    assert tags("Scripts") == {"team": "maps"}

    again = script("createbatch.py", "--stackname", "Scripts", "--region", REGION)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"createbatch.py: There already is a stack Scripts in {REGION}")

    changed = script("createbatch.py", "--modify", "--wait", "--maxjobs", "9", **environment)
    assert changed.returncode == 0, changed.stderr
    assert report_on(managed("Scripts")).parameters["MaxJobs"] == "9"

    gone = script("deletebatch.py", "--wait", **environment)
    assert gone.returncode == 0, gone.stderr
    assert gone.stdout.splitlines()[-1].startswith(f"Deleted stack Scripts in {REGION}.")
    assert not exists("Scripts")
    missing = script("deletebatch.py", "--wait", **environment)
    assert missing.stderr.startswith(f"deletebatch.py: There is no stack Scripts in {REGION}")


def test_deleting_asks_on_a_terminal(made):
    """Both commands ask somebody at a terminal, and nobody else; --yes answers."""
    commands = ([COMMAND, "stack", "delete"], [sys.executable, SCRIPTS / "deletebatch.py"])
    for command in commands:
        refused = run_on_terminal("n", *command, "--stackname", made.name)
        assert refused.returncode == 130
        assert f"Delete stack {made.name} in {REGION}" in refused.stdout + refused.stderr
        assert exists(made.name)
    done = run_on_terminal("n", *commands[1], "--yes", "--wait", "--stackname", made.name)
    assert done.returncode == 0, done.stderr
    assert not exists(made.name)


def test_instance_type_is_understood_too():
    """RIOS's script calls it --instancetype."""
    options = [
        "--stackname",
        "Instances",
        "--instancetype",
        "c7g.large",
        "--arch",
        "arm64",
        "--wait",
    ]
    assert script("createbatch.py", *options).returncode == 0
    assert report_on(managed("Instances")).parameters["InstanceTypes"] == "c7g.large"
    list(delete_stack(managed("Instances")))


class Interrupted(ManagedStack):
    """A stack that somebody presses Ctrl-C on while its events are shown."""

    def follow(self, *_):
        raise KeyboardInterrupt
        yield


def test_ctrl_c_is_answered(capsys):
    """Whoever stops looking is told that CloudFormation goes on, and how to look again."""
    with pytest.raises(KeyboardInterrupt):
        _create(Interrupted(Clients(REGION), "Interrupted"), {"zones": (), "tags": ()}, wait=True)
    told = capsys.readouterr().err
    assert told.startswith("CloudFormation goes on; `rios-awsbatch stack status`")
    list(delete_stack(managed("Interrupted")))


def test_three_zones_or_none():
    """As with RIOS's script, zones come in threes."""
    done = script("createbatch.py", "--az", f"{REGION}a", "--stackname", "Zone")
    assert (done.returncode, exists("Zone")) == (2, False)
    assert "Give --az 3 times" in done.stderr


def test_dry_run_changes_nothing(made):
    """modify --dry-run lists the changes and makes none of them."""
    words = ["modify", "--stackname", made.name, "--maxjobs", "2", "--dry-run"]
    done = run(COMMAND, "stack", *words)
    assert sorted(done.stdout.splitlines()) == [
        "Modify BatchComputeEnvironmentFargate (AWS::Batch::ComputeEnvironment)",
        "Modify BatchComputeEnvironmentMainFargate (AWS::Batch::ComputeEnvironment)",
    ]
    assert outputs(made)["BatchMaxJobs"] == "32"


def test_without_wait_the_commands_return_at_once():
    """Without --wait the commands say what has begun, and how to look further."""
    created = run(COMMAND, "stack", "create", "--stackname", "Later").stdout
    assert created.startswith(f"Creating stack Later in {REGION}; `rios-awsbatch stack status`")
    deleted = run(COMMAND, "stack", "delete", "--stackname", "Later").stdout
    assert deleted.startswith(f"Deleting stack Later in {REGION}; ")
    eventually(lambda: not exists("Later"))
