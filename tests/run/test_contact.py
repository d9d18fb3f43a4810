"""The first contact: main compares a worker's versions with its own before any task fails."""

import dataclasses
import logging

import pytest

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.errors import VersionMismatchError
from rios_plugin_awsbatch.records import Versions
from rios_plugin_awsbatch.run.contact import FirstContact
from rios_plugin_awsbatch.wire.messages import WIRE_VERSION, WorkerNotice
from rios_plugin_awsbatch.wire.versions import find_versions
from tests.support.blocks import run_with
from tests.support.helpers import eventually
from tests.support.images import Image, defined

OURS = Versions(
    python="3.11.7",
    package="0.1.0",
    cloudpickle="3.1.3",
    numpy="1.26.4",
    gdal="3.6.2",
    rios="2.0.9",
)


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path / "image")


def first_task_of(cloud, image):
    """Return the future of a task that was given to workers of an image, and has an outcome."""
    with (
        defined(cloud, environment=image.environment) as definition,
        run_with(1, definition) as run,
    ):
        future = run.submit(abs, (-1,))
        future.exception(60)
        eventually(lambda: future.record)
    return future


# Real workers


def test_another_minor_version_of_python_is_told_before_a_task_fails(cloud, tmp_path):
    """The run ends with both versions and the commands; no worker had to refuse a task."""
    image = Image(tmp_path / "image", python="3.99.1")
    future = first_task_of(cloud, image)
    assert isinstance(future.exception(), VersionMismatchError)
    assert future.record.outcome == "failed"
    text = str(future.exception())
    assert f"Main runs Python {find_versions().python}" in text
    assert "image has Python 3.99.1" in text
    assert "`rios-awsbatch image build` and `rios-awsbatch image push`" in text


def test_another_major_version_of_cloudpickle_is_told_with_what_to_install(cloud, image):
    """The run ends with both versions, and what to install here instead."""
    image.add_code("import cloudpickle; cloudpickle.__version__ = '97.1.0'")
    future = first_task_of(cloud, image)
    assert isinstance(future.exception(), VersionMismatchError)
    assert future.record.outcome == "failed"
    text = str(future.exception())
    assert f"Main has cloudpickle {find_versions().cloudpickle}" in text
    assert 'pip install "cloudpickle==97.1.0"' in text


def test_another_wire_version_is_told_with_both_packages(cloud, image):
    """A worker whose messages main cannot read is told apart by its wire and package version."""
    image.add_code(
        "import rios_plugin_awsbatch._version as version\n"
        "version.__version__ = '97.2.0'\n"
        "import rios_plugin_awsbatch.wire.messages as messages\n"
        "messages.WIRE_VERSION = 'rab97'"
    )
    future = first_task_of(cloud, image)
    assert isinstance(future.exception(), VersionMismatchError)
    text = str(future.exception())
    assert f"wire version rab97 (rios-plugin-awsbatch 97.2.0), and this is {WIRE_VERSION}" in text
    assert f"here it is {__version__}" in text
    assert "`rios-awsbatch image build`" in text


def test_other_libraries_are_warned_of_once_and_work_goes_on(cloud, image, caplog):
    """Two workers with another GDAL and numpy: one warning with all versions, and all results."""
    image.add_distribution("numpy", "97.3.0").add_distribution("GDAL", "97.4.0")
    with (
        caplog.at_level(logging.WARNING),
        defined(cloud, environment=image.environment) as definition,
        run_with(2, definition) as run,
    ):
        # Main listens while it waits for a task.
        eventually(lambda: run.submit(abs, (-1,)).result(60) and run.statistics().workers == 2)
    (warning,) = [text for text in caplog.messages if "results may differ" in text]
    ours = find_versions()
    assert f"numpy 97.3.0 (main: {ours.numpy})" in warning
    assert ours.gdal is None or f"GDAL 97.4.0 (main: {ours.gdal})" in warning
    assert "`rios-awsbatch image build`" in warning


@pytest.mark.usefixtures("cloud")
def test_a_worker_like_main_is_nothing_to_warn_of(caplog):
    """Main and workers of one environment: no word about versions."""
    with caplog.at_level(logging.WARNING), run_with(1) as run:
        assert run.submit(abs, (-1,)).result(60) == 1
    assert not [text for text in caplog.messages if "differ" in text]


# Versions


def refusal_of(**theirs):
    versions = dataclasses.replace(OURS, **theirs)
    notice = WorkerNotice(worker="w", event="ready", versions=versions)
    return FirstContact("r", OURS).refusal(notice)


@pytest.mark.parametrize(
    "theirs",
    [{"python": "3.12.7"}, {"python": "4.11.7"}, {"cloudpickle": "2.2.1"}],
)
def test_what_cannot_work_is_refused(theirs):
    """Pickled code needs the same minor version of Python and major version of cloudpickle."""
    refusal = refusal_of(**theirs)
    (version,) = theirs.values()
    assert version in str(refusal)
    assert "image build" in str(refusal)


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ({"gdal": "3.8.4"}, "GDAL 3.8.4 (main: 3.6.2)"),
        ({"rios": "2.1.0"}, "RIOS 2.1.0 (main: 2.0.9)"),
        ({"rios": "1.4.17"}, "RIOS 1.4.17 (main: 2.0.9)"),
        ({"numpy": "2.4.6"}, 'pip install "numpy==2.4.6"'),
    ],
)
def test_what_may_give_other_results_is_told(theirs, told, caplog):
    """Another minor version of GDAL or RIOS, another major version of numpy."""
    assert refusal_of(**theirs) is None
    assert told in caplog.text


@pytest.mark.parametrize(
    "theirs",
    [
        {},
        {"python": "3.11.9"},
        {"cloudpickle": "3.0.0"},
        {"gdal": "3.6.4"},
        {"rios": "2.0.8"},
        {"numpy": "1.24.0"},
        {"package": "0.1.1"},
        {"gdal": None, "rios": None, "numpy": None},
    ],
)
def test_what_makes_no_difference_is_not_told(theirs, caplog):
    """Patches, other packages on the same wire, and what is not there or does not tell."""
    assert refusal_of(**theirs) is None
    assert caplog.messages == []


def test_a_worker_that_tells_no_versions_is_taken(caplog):
    """An older package on the same wire does not have them; its tasks are checked one by one."""
    assert FirstContact("r", OURS).refusal(WorkerNotice(worker="w", event="ready")) is None
    assert caplog.messages == []


def test_a_second_difference_is_told_too(caplog):
    """Each difference is told once, whichever worker has it."""
    contact = FirstContact("r", OURS)
    for gdal in ("3.8.4", "3.8.4", "3.9.2"):
        versions = dataclasses.replace(OURS, gdal=gdal)
        contact.refusal(WorkerNotice(worker="w", event="ready", versions=versions))
    assert [text.partition("GDAL ")[2][:5] for text in caplog.messages] == ["3.8.4", "3.9.2"]
