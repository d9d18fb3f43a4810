"""Fixtures for the tests of the adapters to RIOS."""

import os

import pytest

from rios_plugin_awsbatch import AWSBatchJobManager
from rios_plugin_awsbatch.run import leases as live
from tests.support.helpers import GIVEN, eventually


@pytest.fixture(scope="module")
def farm(local_aws, session_cloud):
    """The embedded AWS for a module: runs stay warm between tests, and none is left after it."""
    with local_aws.activated():
        os.environ["RIOS_AWSBATCH_STARTUP_TIMEOUT"] = "120"
        os.environ["RIOS_AWSBATCH_VISIBILITY_TIMEOUT"] = "20"  # as in `cloud`
        yield session_cloud
        live.close_all()
        eventually(
            lambda: not session_cloud.left(), lambda: f"a run has left {session_cloud.left()}"
        )


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The folder of input files."""
    from tests.hosts.support.scene import make_scene  # noqa: PLC0415 - where there is a GDAL

    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="session")
def serial(files, tmp_path_factory):
    """Return what a serial run of a job writes; it is computed once."""
    from tests.hosts.support.scenarios import outputs, run  # noqa: PLC0415 - where there is a RIOS

    folder, known = tmp_path_factory.mktemp("serial"), {}

    def reference(job):
        if id(job) not in known:
            here = folder / str(len(known))
            run(job, here, lambda name: str(files / name))
            known[id(job)] = job, outputs(job, here)
        return known[id(job)][1]

    return reference


@pytest.fixture(scope="module")
def uploaded(farm, files):
    """The input files in the bucket, by GDAL's name for the folder."""
    keys = {path.name: f"{GIVEN}scene/{path.name}" for path in files.iterdir()}
    for name, key in keys.items():
        farm.s3.upload_file(str(files / name), farm.bucket, key)
    yield f"/vsis3/{farm.bucket}/{GIVEN}scene"
    for key in keys.values():
        farm.s3.delete_object(Bucket=farm.bucket, Key=key)


@pytest.fixture
def manager(warm):
    """A job manager with two workers, which end with the test."""
    manager = AWSBatchJobManager(3)
    yield manager
    manager.finalise()
