"""What blocks see of main's process, and keep of it, within the real RIOS of either generation."""

import base64
import dataclasses
import functools
import http.server
import logging
import threading

import pytest

from tests.hosts.support import hosted

if not hosted.generation():
    pytest.skip("RIOS is not installed (tox -e rios1, rios2 do it)", allow_module_level=True)

import numpy as np
from osgeo import gdal

from rios_plugin_awsbatch.hosts.process_state import current_state
from tests.hosts.support import functions
from tests.hosts.support.contract import Contract
from tests.hosts.support.runs import live_run
from tests.support.helpers import GIVEN

needs_rios2 = pytest.mark.skipif(hosted.generation() != 2, reason="main reads with RIOS 1.4")
SECRET = "GDAL_HTTP_USERPWD"


def in_workers(controls):
    if hosted.generation() == 2:
        hosted.on_batch()(controls)
    else:
        controls.setNumThreads(3)
        controls.setJobManagerType("AWSBatch")


@pytest.fixture
def host(farm, tmp_path):
    with current_state().reproduced():  # which restores GDAL's state after the test
        yield Contract(tmp_path, in_workers)


@pytest.fixture
def remote(host, farm):
    """The image's name in the bucket; the test uploads it."""
    yield f"/vsis3/{farm.bucket}/{GIVEN}changing"
    farm.s3.delete_object(Bucket=farm.bucket, Key=f"{GIVEN}changing")


def upload(host, farm, image):
    hosted.write(host.path, image)
    farm.s3.upload_file(host.path, farm.bucket, f"{GIVEN}changing")


@pytest.mark.parametrize("exceptions", [True, False])
def test_gdal_is_as_at_home(exceptions, host):
    """Its exceptions and its options, in the blocks of every worker."""
    raises = dict.fromkeys(current_state().raises, exceptions)
    for threads in ("2", None):
        with dataclasses.replace(current_state(), raises=raises).reproduced():
            gdal.SetConfigOption("GDAL_NUM_THREADS", threads)
            _, serial = host.apply(functions.about_gdal, parallel=False)
            _, written = host.apply(functions.about_gdal)
        assert np.array_equal(written, serial)
        assert set(written[3].flat) == {int(threads or 0)}


@needs_rios2
def test_gdal_is_as_at_home_after_a_worker_has_read_an_input(host):
    """The worker that reads and the one that does not see the same."""
    _, serial = host.apply(functions.about_gdal, parallel=False)
    for read in ("workers", "main", "workers"):
        reads = hosted.on_batch(computeWorkerExtraParams={"read": read})
        _, written = host.apply(functions.about_gdal, parallel=reads)
        assert np.array_equal(written, serial)


@needs_rios2
def test_a_remote_file_is_read_as_it_is_in_this_apply(host, farm, remote):
    """GDAL's caches of remote files are those of one `apply`."""
    for added in range(3):
        upload(host, farm, hosted.image() + added)
        _, written = host.apply(functions.add_bands_whole, img=remote)
        assert np.array_equal(written[0], (hosted.image() + added).sum(axis=0))


@needs_rios2
def test_main_reads_where_workers_lack_its_credentials(host, farm, remote, caplog):
    """One line says so, with the names of the options, not their values."""
    upload(host, farm, hosted.image())
    host.apply(functions.add_bands_whole, img=remote)
    before = live_run().statistics().bytes_sent
    gdal.SetConfigOption(SECRET, "user:word")
    with caplog.at_level(logging.WARNING):
        _, written = host.apply(functions.add_bands_whole, img=remote)
    assert np.array_equal(written[0], hosted.image().sum(axis=0))
    assert live_run().statistics().bytes_sent - before > hosted.image().size
    (line,) = [one.getMessage() for one in caplog.records if SECRET in one.getMessage()]
    assert line.endswith("main reads all inputs")
    assert "word" not in line


@pytest.fixture
def served(tmp_path):
    """The image's address at a server that only this process has the password for."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def send_head(self):
            word = base64.b64encode(b"user:word").decode()
            if self.headers.get("Authorization") == f"Basic {word}":
                return super().send_head()
            self.send_error(401)
            return None

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"/vsicurl/http://127.0.0.1:{server.server_port}/image"
        server.shutdown()


@needs_rios2
def test_main_reads_what_a_worker_cannot(host, served, monkeypatch, caplog):
    """One line says so and why; the blocks that came back are computed too."""
    monkeypatch.setenv(SECRET, "user:word")  # which does not reach the workers that are warm
    host.apply(functions.add_bands_whole)
    with caplog.at_level(logging.WARNING):
        _, written = host.apply(functions.add_bands_whole, img=served)
    assert np.array_equal(written[0], hosted.image().sum(axis=0))
    (line,) = [one.getMessage() for one in caplog.records if "main reads" in one.getMessage()]
    assert "a worker cannot read an input" in line
    assert line.endswith("main reads all inputs")


@needs_rios2
def test_sums_are_exact_where_main_reads_what_a_worker_cannot(host, served, monkeypatch):
    """A task that came back has counted nothing."""
    monkeypatch.setenv(SECRET, "user:word")
    host.apply(functions.add_bands_whole)
    other = {"pixels": 0, "blocks": []}
    returned, _ = host.apply(functions.count_pixels, other, img=served)
    assert sum(one.pixels for one in returned.otherArgsList) == hosted.ROWS * hosted.COLUMNS


@needs_rios2
def test_a_worker_that_must_read_says_why_it_cannot(host, served, monkeypatch, capsys):
    """With "read": "workers", main does not read instead."""
    monkeypatch.setenv(SECRET, "user:word")
    host.apply(functions.add_bands_whole)
    reads = hosted.on_batch(computeWorkerExtraParams={"read": "workers"})
    from rios.rioserrors import WorkerExceptionError  # noqa: PLC0415 - of RIOS 2

    with pytest.raises(WorkerExceptionError):
        host.apply(functions.add_bands_whole, parallel=reads, img=served)
    assert "401" in capsys.readouterr().err
