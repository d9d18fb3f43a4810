"""Fixtures of the tests of jobs."""

import textwrap

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.jobs.sweep import sweep_submissions
from tests.jobs.support import DEFINITIONS, definitions


@pytest.fixture
def script(tmp_path):
    """Return a function that writes a script."""

    def write(code, name="main.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return path

    return write


@pytest.fixture
def stack(cloud):
    """The embedded AWS; afterwards no submission may be left in it."""
    yield cloud
    sweep_submissions(Clients("ap-southeast-2"), cloud.bucket)
    assert cloud.objects("submissions/") == []
    assert definitions(cloud) == DEFINITIONS
