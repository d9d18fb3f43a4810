"""The workers' image: compared before anything starts, and the same for all workers of a run."""

import json
import platform

import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.cli.checks import examine
from rios_plugin_awsbatch.cli.common import opened_aws
from rios_plugin_awsbatch.errors import WorkersError
from rios_plugin_awsbatch.jobs.definitions import definition_for, wanted_image
from rios_plugin_awsbatch.stack.outputs import read_stack
from rios_plugin_awsbatch.wire.image_tag import image_tag, versions_here
from tests.image.support.programs import rios_awsbatch
from tests.support.helpers import eventually

NAME = "riosJobDefinition"
HERE = image_tag(versions_here())
OTHER_PYTHON = "py3.9.2-gdal3.8.4-rios2.0.9-awsbatch0.1.0"


@pytest.fixture
def ecr(owner):
    """The stack's repository; the images and definitions of a test are gone after it."""
    client = owner.client("ecr")
    yield client
    listed = client.list_images(repositoryName="riosecr")["imageIds"]
    if listed:
        client.batch_delete_image(repositoryName="riosecr", imageIds=listed)
    for name in (NAME, "riosJobDefinitionMain", "riosJobDefinitionMainScript"):
        for one in definitions(owner, name):
            if one["revision"] > 1:
                owner.batch.deregister_job_definition(jobDefinition=one["jobDefinitionArn"])


def pushed(ecr, *tags, content="a"):
    """Put an image into the repository; return its digest, which moto makes of the layers."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 1,
            "digest": f"sha256:{'0' * 64}",
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": 1,
                "digest": f"sha256:{content * 64}",
            }
        ],
    }
    for tag in tags:
        answer = ecr.put_image(
            repositoryName="riosecr", imageManifest=json.dumps(manifest), imageTag=tag
        )
    return answer["image"]["imageId"]["imageDigest"]


def definitions(cloud, name):
    found = cloud.batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")
    return sorted(found["jobDefinitions"], key=lambda one: one["revision"])


def image_finding():
    return {one.what: one for one in examine()}["Worker image"]


def test_an_image_of_another_python_is_refused_before_anything_starts(cloud, ecr):
    """No job, no queue and no object is made; the error has both versions and the remedy."""
    pushed(ecr, "latest", OTHER_PYTHON)
    with pytest.raises(WorkersError) as caught, BatchExecutor(1) as executor:
        executor.submit(max, 1, 2)
    told = str(caught.value)
    assert f"has Python 3.9.2, and here it is {platform.python_version()}" in told
    assert "rios-awsbatch image build" in told
    assert cloud.left() == {}


@pytest.mark.parametrize("tags", [["latest"], ["latest", HERE]])
@pytest.mark.usefixtures("cloud")
def test_an_image_that_suits_or_does_not_tell_is_used(ecr, tags):
    """So is one that ECR does not have, as on the embedded AWS."""
    pushed(ecr, *tags)
    with BatchExecutor(1) as executor:
        assert executor.submit(max, 1, 2).result() == 2


@pytest.mark.usefixtures("cloud")
def test_doctor_compares_the_image_with_this_environment(ecr):
    """A different Python is bad, another GDAL is worth knowing, the same is good."""
    pushed(ecr, "latest", OTHER_PYTHON, content="a")
    finding = image_finding()
    assert finding.verdict == "bad"
    assert f"Python 3.9.2, and here it is {platform.python_version()}" in finding.detail
    assert "rios-awsbatch image build" in finding.remedy
    pushed(ecr, "latest", image_tag({**versions_here(), "numpy": "0.9"}), content="b")
    finding = image_finding()
    assert finding.verdict == "note"
    assert "numpy 0.9, and here it is" in finding.detail
    pushed(ecr, "latest", HERE, content="c")
    assert (image_finding().verdict, image_finding().remedy) == ("good", "")
    pushed(ecr, "latest", content="d")
    assert image_finding().verdict == "note"
    assert "no tag tells what is in it" in image_finding().detail


@pytest.fixture
def pushing(builder, ecr, monkeypatch):
    """A builder whose images have the versions here; returns what pushes one."""
    assert builder() == []
    monkeypatch.setenv("VERSIONS", json.dumps(versions_here()))

    def push(content):
        digest = pushed(ecr, "latest", HERE, content=content)
        done = rios_awsbatch("image", "push")
        assert done.returncode == 0, done.stderr
        return digest, done

    return push


def test_push_names_the_image_by_its_digest(cloud, pushing):
    """Workers' and scripts' definitions get a revision; all else in it stays; main's is left."""
    before = definitions(cloud, NAME)[-1]
    digest, done = pushing("a")
    after = definitions(cloud, NAME)[-1]
    repository = before["containerProperties"]["image"].partition(":latest")[0]
    assert after["revision"] == before["revision"] + 1
    assert after["containerProperties"] == {
        **before["containerProperties"],
        "image": f"{repository}@{digest}",
    }
    for part in ("retryStrategy", "timeout", "platformCapabilities"):
        assert after.get(part) == before.get(part)
    for name in (NAME, "riosJobDefinitionMainScript"):
        latest = definitions(cloud, name)[-1]
        assert f"Jobs of {name}:{latest['revision']} run this image" in done.stdout
    assert definitions(cloud, "riosJobDefinitionMain")[-1]["revision"] == 1
    assert done.stderr == ""


def test_pushing_the_same_image_again_registers_nothing(cloud, pushing):
    """The definitions name it already."""
    pushing("a")
    revision = definitions(cloud, NAME)[-1]["revision"]
    assert rios_awsbatch("image", "push").returncode == 0
    assert definitions(cloud, NAME)[-1]["revision"] == revision


def test_a_script_is_submitted_with_the_pushed_image(cloud, pushing):
    """Whoever asks for the workers' latest image gets it without a definition of its own."""
    digest, _ = pushing("a")
    stack = read_stack(*opened_aws())
    for asked in (None, "worker", "worker:latest"):
        image = wanted_image(cloud.batch, stack, asked)
        assert image.endswith(f"/riosecr@{digest}")
        assert not definition_for(cloud.batch, stack, image, "x").registered
    assert wanted_image(cloud.batch, stack, "worker:1").endswith("/riosecr:1")


def test_an_image_of_one_s_own_choice_is_left(cloud, pushing):
    """A definition that names another image, as the stack's WorkerImage does, keeps it."""
    latest = definitions(cloud, NAME)[-1]
    own = {**latest["containerProperties"], "image": "elsewhere/rios:7"}
    cloud.batch.register_job_definition(
        jobDefinitionName=NAME, type="container", containerProperties=own
    )
    pushing("a")
    assert definitions(cloud, NAME)[-1]["containerProperties"]["image"] == "elsewhere/rios:7"


def test_a_push_does_not_change_the_image_of_a_run_that_has_begun(cloud, pushing):
    """Workers that are started later use the revision of those that were there before."""
    pushing("a")
    with BatchExecutor(1) as executor:
        assert executor.submit(max, 1, 2).result() == 2
        (first,) = used(cloud)
        pushing("b")
        assert definitions(cloud, NAME)[-1]["jobDefinitionArn"] != first
        with BatchExecutor(2) as other:  # the same run, which now wants one worker more
            assert other.submit(max, 1, 2).result() == 2
            eventually(lambda: len(running(cloud)) > 1)
            assert used(cloud) == {first}


def running(cloud):
    jobs = cloud.unfinished_jobs()
    return cloud.batch.describe_jobs(jobs=jobs)["jobs"] if jobs else []


def used(cloud):
    return {one["jobDefinition"] for one in running(cloud)}


def test_push_tells_how_the_image_differs_from_this_environment(builder, repositories, monkeypatch):
    """Before anything is pushed; somebody else's environment may be the same as the image."""
    assert repositories
    other = {**versions_here(), "python": "3.9.2"}
    monkeypatch.setenv("VERSIONS", json.dumps(other))
    monkeypatch.setenv("FAILS_AT", "tag")
    done = rios_awsbatch("image", "push")
    assert done.returncode == 1
    first = done.stderr.splitlines()[0]
    assert first.startswith("The image has Python 3.9.2, and here it is ")
    assert first.endswith("this environment cannot use such workers.")
    assert not [call for call in builder() if call["words"][0] == "push"]


def test_build_tells_how_the_image_differs_from_this_environment(builder, monkeypatch):
    """A base image or an option may have brought something else."""
    monkeypatch.setenv("VERSIONS", json.dumps({**versions_here(), "rios": "1.0", "numpy": "0.9"}))
    done = rios_awsbatch("image", "build")
    assert done.returncode == 0
    assert "The image has numpy 0.9, and here it is " in done.stderr
    assert [call["words"][0] for call in builder()][-1] == "tag"
