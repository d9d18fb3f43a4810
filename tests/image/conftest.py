"""A fake builder, which stands in for docker, podman and buildah, and a stack with repositories.

`image/check.sh` builds the image for real.
"""

import fcntl
import json
import os
import shutil
import sys

import pytest

from rios_plugin_awsbatch.image import build
from rios_plugin_awsbatch.image.builder import BUILDERS
from rios_plugin_awsbatch.image.wheel import plugin_wheel
from tests.image.support.programs import BUILDER, VERSIONS

VARIABLES = (
    "BASE_IMAGE",
    "BUILDER",
    "BUILD_OPTIONS",
    "CONDA_FILE",
    "EXTRA_PACKAGES",
    "IMAGE",
    "PIP_PACKAGES",
    "PLATFORM",
    "PYTHON_VERSION",
    "REQUIREMENTS",
    "RIOS_VER",
)
STACK = """
AWSTemplateFormatVersion: '2010-09-09'
Resources:
  Queue:
    Type: AWS::SQS::Queue
Outputs:
  BatchECR:
    Value: !Sub '${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/riosecr'
  BatchECRMain:
    Value: !Sub '${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/riosecrmain'
  BatchArchitecture:
    Value: arm64
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel that is built from the checkout, once for all processes of this pytest."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    built = folder / "wheel"
    with (folder / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            plugin_wheel(folder / "building")
            (folder / "building").rename(built)
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture
def builder(tmp_path, monkeypatch, wheel):
    """Three builders that come first on PATH and only record their calls; returns the calls.

    Commands that are forked from this process take the wheel that is there; `make` builds its own.
    """
    monkeypatch.setattr(build, "plugin_wheel", lambda folder: shutil.copy(wheel, folder))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in BUILDERS:
        (programs / name).write_text(f"#!{sys.executable}\n{BUILDER}")
        (programs / name).chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("VERSIONS", json.dumps(VERSIONS))
    # Where there is no stack, nobody is to be asked for credentials.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return lambda: [json.loads(line) for line in calls.read_text().splitlines()]


@pytest.fixture
def repositories(owner, monkeypatch):
    """A stack with outputs that name its repositories, which the environment names."""
    owner.cloudformation.create_stack(StackName="repositories", TemplateBody=STACK)
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "repositories")
    yield owner
    owner.cloudformation.delete_stack(StackName="repositories")


@pytest.fixture
def bare(owner, monkeypatch):
    """A stack without outputs, which the environment names."""
    template = STACK.partition("Outputs:")[0]
    owner.cloudformation.create_stack(StackName="bare", TemplateBody=template)
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "bare")
    yield owner
    owner.cloudformation.delete_stack(StackName="bare")


@pytest.fixture(autouse=True)
def _owner(request):
    """Where a test uses the embedded AWS, it is whoever owns the account: stacks have other names.

    `tests/iam/tour.py` pushes with the policy for that.
    """
    if "cloud" in request.fixturenames:
        request.getfixturevalue("acting_as")("owner")
