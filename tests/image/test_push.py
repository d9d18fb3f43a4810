"""Pushing the image to the stack's repositories, and their paths."""

import base64
import json
from pathlib import Path

import pytest

from tests.image.support.programs import TAG, print_ecr_path, rios_awsbatch, verbs

REGISTRY = "123456789012.dkr.ecr.ap-southeast-2.amazonaws.com"


@pytest.mark.usefixtures("repositories")
def test_the_password_is_for_the_push_alone(builder, tmp_path, monkeypatch):
    """It is in a private file while the builder pushes, never on a command line, and then gone.

    The user's own file is not touched, and its credential helper, which may refuse passwords, not
    asked. What else docker's folder has is there.
    """
    own = {"credHelpers": {REGISTRY: "ecr-login"}, "credsStore": "x", "currentContext": "far"}
    (tmp_path / "config" / "contexts").mkdir(parents=True)
    file = tmp_path / "config" / "config.json"
    file.write_text(json.dumps(own))
    monkeypatch.setenv("DOCKER_CONFIG", str(file.parent))
    done = rios_awsbatch("image", "push")
    assert done.returncode == 0, done.stderr
    calls = builder()
    pushes = [call for call in calls if call["words"][0] == "push"]
    assert len(pushes) == 2
    for push in pushes:
        auth = push["config"].pop("auths")[REGISTRY]["auth"]
        assert base64.b64decode(auth).startswith(b"AWS:")
        assert push["config"] == {"currentContext": "far"}
        assert push["mode"] == 0o700
        assert push["beside"] == ["config.json", "contexts"]
        assert not Path(push["folder"]).exists()
        assert not any(auth in word for call in calls for word in call["words"])
    assert json.loads(file.read_text()) == own
    assert file.parent.joinpath("contexts").is_dir()


@pytest.mark.usefixtures("repositories")
def test_push_pushes_both_tags(builder):
    """The image gets the tag latest and the tag that tells its versions."""
    done = rios_awsbatch("image", "push")
    names = [f"{REGISTRY}/riosecr:latest", f"{REGISTRY}/riosecr:{TAG}"]
    assert done.stdout == "".join(f"Pushed {name}\n" for name in names), done.stderr
    words = [call["words"] for call in builder()]
    assert [more for verb, *more in words if verb == "tag"] == [
        ["rios:latest", name] for name in names
    ]
    assert [more for verb, *more in words if verb == "push"] == [[name] for name in names]


@pytest.mark.usefixtures("repositories")
def test_push_an_image_for_main_scripts(builder):
    """--main pushes to the repository of such images, and keeps the image's own tag."""
    done = rios_awsbatch("image", "push", "--main", "landcover:3")
    names = [f"{REGISTRY}/riosecrmain:latest", f"{REGISTRY}/riosecrmain:3"]
    assert done.stdout == "".join(f"Pushed {name}\n" for name in names), done.stderr
    assert verbs(builder()) == ["inspect", "tag", "push", "tag", "push"]


@pytest.mark.usefixtures("repositories")
def test_push_that_fails(builder, monkeypatch):
    """What the registry refuses is one sentence, and nothing is reported as pushed."""
    monkeypatch.setenv("FAILS_AT", "push")
    done = rios_awsbatch("image", "push")
    assert (done.returncode, done.stdout) == (1, "")
    assert "`docker push` failed with exit status 125" in done.stderr
    assert verbs(builder())[-1] == "push"


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ([], f"{REGISTRY}/riosecr"),
        (["--base"], REGISTRY),
        (["--main"], f"{REGISTRY}/riosecrmain"),
        (["--main", "--base"], REGISTRY),
    ],
)
@pytest.mark.usefixtures("repositories")
def test_path(words, path):
    """The command and the script that RIOS's users know print the same."""
    assert rios_awsbatch("image", "path", *words).stdout == f"{path}\n"
    assert print_ecr_path(*words).stdout == f"{path}\n"


@pytest.mark.usefixtures("owner")
def test_path_without_a_stack(monkeypatch):
    """If there is no stack, the script says so."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "nowhere")
    done = print_ecr_path()
    assert done.returncode == 1
    told = "print_ecr_path.py: There is no stack nowhere in ap-southeast-2; "
    assert done.stderr.startswith(told), done.stderr


@pytest.mark.usefixtures("bare")
def test_path_without_a_repository():
    """If the stack has no repository, the script names the output that is missing."""
    done = print_ecr_path()
    assert done.returncode == 1
    assert "has no output BatchECR" in done.stderr
