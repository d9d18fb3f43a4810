"""The image: what its Dockerfile says, and what its commands have a builder do.

A fake builder stands in for docker, podman and buildah; `image/check.sh` builds the image for real.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import boto3
import pytest

import rios_plugin_awsbatch
from rios_plugin_awsbatch.image import build as image

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "image"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
SCRIPTS = Path(sys.executable).parent
TAG = "py3.12.3-gdal3.8.4-rios2.0.9-awsbatch0.1.0"
REGISTRY = "123456789012.dkr.ecr.ap-southeast-2.amazonaws.com"
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
# Records its words and standard input; of what it is asked it knows the tag that a build keeps in an image.
BUILDER = """
    import json, os, sys
    from pathlib import Path

    words = sys.argv[1:]
    call = {"words": words, "input": "" if "--password-stdin" not in words else sys.stdin.read()}
    if words[0] == "build":
        context = Path(words[-1])
        call["files"] = sorted(str(path.relative_to(context)) for path in context.rglob("*") if path.is_file())
        call["dockerfile"] = (context / "Dockerfile").read_text()
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(json.dumps(call) + "\\n")
    if words[0] == os.environ.get("FAILS_AT"):
        sys.exit(125)
    if words[0] == "run":
        print(os.environ["TAG"])
    if words[0] == "from":
        print("rios-working-container")
"""


def instructions():
    """Return the Dockerfile's instructions, without comments and with their lines joined."""
    lines = [
        line
        for line in DOCKERFILE.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return [
        re.sub(r"\s+", " ", text) for text in "\n".join(lines).replace("\\\n", " ").splitlines()
    ]


def stages():
    """Return the instructions of each stage, by its name; the last one has none."""
    found, name = {}, None
    for text in instructions():
        if text.startswith("FROM"):
            name = text.partition(" AS ")[2]
            found[name] = []
        if name is not None:
            found[name].append(text)
    return found


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """Three builders first on PATH that only record what they are told; returns what that was."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in image.BUILDERS:
        (programs / name).write_text(f"#!{sys.executable}\n{textwrap.dedent(BUILDER)}")
        (programs / name).chmod(0o755)
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("TAG", TAG)
    monkeypatch.setenv(
        "AWS_EC2_METADATA_DISABLED", "true"
    )  # where there is no stack, nobody is to be asked for one
    for name in (
        "BUILDER",
        "EXTRA_PACKAGES",
        "PIP_PACKAGES",
        "RIOS_VER",
        "PLATFORM",
        "BASE_IMAGE",
        "BUILD_OPTIONS",
    ):
        monkeypatch.delenv(name, raising=False)
    return lambda: (
        [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
    )


@pytest.fixture
def repositories(cloud, monkeypatch):
    """A stack with the outputs that name its repositories."""
    cloud.cloudformation.create_stack(StackName="repositories", TemplateBody=STACK)
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "repositories")
    yield cloud
    cloud.cloudformation.delete_stack(StackName="repositories")


def rios_awsbatch(*words, **more):
    return subprocess.run(
        [SCRIPTS / "rios-awsbatch", *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        **more,
    )


def make(*words, **environment):
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if name != "RIOS_AWSBATCH_REGION"}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", FOLDER, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "PATH": path, **environment},
    )


def arguments(call):
    """Return the build arguments of a call."""
    given = [
        word.removeprefix("--build-arg=")
        for word in call["words"]
        if word.startswith("--build-arg=")
    ]
    return dict(word.split("=", 1) for word in given)


# The Dockerfile


def test_the_base_image_is_an_argument():
    """Any image of Ubuntu or Debian drops in, one that has GDAL as well: then none is installed."""
    assert instructions()[0] == "ARG BASE_IMAGE=ubuntu:24.04"
    assert stages()["system"][0] == "FROM ${BASE_IMAGE} AS system"
    (run,) = [text for text in stages()["system"] if text.startswith("RUN")]
    assert '$(python3 -c "from osgeo import gdal_array" 2>/dev/null || echo python3-gdal)' in run
    assert re.search(r"apt-get install [^&]*\$\{gdal\} \$\{EXTRA_PACKAGES\}", run)


def test_numpy_is_held_to_that_of_gdal():
    """The constraint is made before pip installs anything, and holds in images built FROM this one."""
    (run,) = [text for text in stages()["system"] if text.startswith("RUN")]
    (environment,) = [text for text in stages()["system"] if text.startswith("ENV")]
    constraint = re.search(r"PIP_CONSTRAINT=(\S+)", environment).group(1)
    assert run.endswith(f"> {constraint}")
    assert "pip install" not in run


def test_the_system_python_has_everything():
    """There is no virtual environment to find: PEP 668 is set aside, in images built FROM this one too."""
    (environment,) = [text for text in stages()["system"] if text.startswith("ENV")]
    assert "PIP_BREAK_SYSTEM_PACKAGES=1" in environment
    assert "venv" not in "".join(instructions())
    assert "COPY --from=python /installed/usr/local/ /usr/local/" in stages()[""]


def test_several_extra_packages_of_both_kinds():
    """Both are arguments that are taken apart at blanks, and nothing in them is a pattern of file names."""
    for stage, name in (("system", "EXTRA_PACKAGES"), ("python", "PIP_PACKAGES")):
        assert f'ARG {name}=""' in stages()[stage]
        (run,) = [text for text in stages()[stage] if text.startswith("RUN")]
        assert f" ${{{name}}}" in run
        assert run.startswith("RUN set -ef")


def test_the_last_build_step_checks_the_import():
    """Whatever has been installed, GDAL works with that numpy, RIOS with that GDAL, and the tag is kept."""
    last = [text for text in instructions() if text.startswith("RUN")][-1]
    assert "import osgeo.gdal_array, rios.applier" in last
    assert f"-m rios_plugin_awsbatch.imagetag > {image.TAG_FILE}" in last
    assert instructions().index(last) > instructions().index(
        "COPY --from=python /installed/usr/local/ /usr/local/"
    )


def test_the_worker_is_the_entry_point_and_is_not_root():
    """After the last step nothing runs as root."""
    end = stages()[""]
    assert end[-1] == 'ENTRYPOINT ["rios-awsbatch-worker"]'
    assert "USER rios" in end[end.index([text for text in end if text.startswith("RUN")][-1]) :]


def test_few_and_small_layers():
    """Three layers on the base image, without apt's lists, archives, pip's cache, or what was built from."""
    layers = [
        text
        for text in stages()["system"] + stages()[""]
        if text.startswith(("RUN", "COPY", "ADD"))
    ]
    assert len(layers) == 3
    assert "--no-install-recommends" in layers[0]
    assert "rm -rf /var/lib/apt/lists/*" in layers[0]
    assert [text for text in stages()["python"] if text.startswith("COPY")] == [
        "COPY packages /packages"
    ]
    assert any("PIP_NO_CACHE_DIR=1" in text for text in stages()["system"])


def test_the_default_release_of_rios_stands_in_both_places():
    """Whether the Dockerfile is built by the command or by hand, it is the same RIOS."""
    (argument,) = [text for text in stages()["python"] if text.startswith("ARG RIOS=")]
    version = image.LATEST_RIOS
    assert (
        argument
        == f"ARG RIOS=https://github.com/ubarsc/rios/releases/download/rios-{version}/rios-{version}.tar.gz"
    )


# build


def test_build(builder):
    """One build with the wheel of this very package, and one more tag that says what is in the image."""
    done = rios_awsbatch("image", "build", "--builder", "podman")
    assert done.stdout == f"Built rios:latest\nBuilt rios:{TAG}\n", done.stderr
    build, ask, tag = builder()
    version = rios_plugin_awsbatch.__version__
    assert build["files"] == [
        "Dockerfile",
        f"packages/rios_plugin_awsbatch-{version}-py3-none-any.whl",
    ]
    assert build["dockerfile"] == DOCKERFILE
    assert arguments(build)["RIOS"].endswith("/rios-2.0.9/rios-2.0.9.tar.gz")
    assert ask["words"] == [
        "run",
        "--rm",
        "--pull=never",
        "--entrypoint=cat",
        "rios:latest",
        image.TAG_FILE,
    ]
    assert tag["words"] == ["tag", "rios:latest", f"rios:{TAG}"]


def test_build_with_everything(builder):
    """Packages with blanks between, base image, platform, name and further options arrive as they are."""
    words = [
        "--extra-packages",
        "python3-scipy less",
        "--pip-packages",
        "xarray[io]>=2024 zarr",
        "--name",
        "mine",
    ]
    words += [
        "--base-image",
        "ghcr.io/osgeo/gdal:x",
        "--platform",
        "linux/arm64",
        "--options",
        "--no-cache --label 'a b'",
    ]
    done = rios_awsbatch("image", "build", *words, "--rios", "1.4.17")
    assert done.returncode == 0, done.stderr
    build = builder()[0]
    assert build["words"][:3] == ["build", "--tag=mine:latest", "--platform=linux/arm64"]
    assert build["words"][-4:-1] == ["--no-cache", "--label", "a b"]
    assert arguments(build) == {
        "BASE_IMAGE": "ghcr.io/osgeo/gdal:x",
        "RIOS": "https://github.com/ubarsc/rios/releases/download/rios-1.4.17/rios-1.4.17.tar.gz",
        "EXTRA_PACKAGES": "python3-scipy less",
        "PIP_PACKAGES": "xarray[io]>=2024 zarr",
    }


@pytest.mark.usefixtures("repositories")
def test_build_for_the_machines_of_the_stack(builder):
    """Where there is a stack, the image is built for its machines, unless a platform is given."""
    assert rios_awsbatch("image", "build").returncode == 0
    assert rios_awsbatch("image", "build", "--platform", "linux/amd64").returncode == 0
    builds = [call["words"] for call in builder() if call["words"][0] == "build"]
    assert [words[2] for words in builds] == ["--platform=linux/arm64", "--platform=linux/amd64"]


def test_rios_from_here(builder, tmp_path):
    """Who has no RIOS online gives an archive or a folder: it goes into the build."""
    folder = tmp_path / "rios"
    folder.mkdir()
    (folder / "setup.py").write_text("")
    archive = tmp_path / "rios-2.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "rios-2.1")
    for given, name in ((archive, "rios-2.1.tar.gz"), (folder, "rios.tar.gz")):
        assert rios_awsbatch("image", "build", "--rios", given).returncode == 0
        build = [call for call in builder() if call["words"][0] == "build"][-1]
        assert f"packages/{name}" in build["files"]
        assert arguments(build)["RIOS"] == f"/packages/{name}"
    missing = rios_awsbatch("image", "build", "--rios", "nowhere.tar.gz")
    assert missing.returncode == 1
    assert (
        "RIOS nowhere.tar.gz is neither a version such as 2.0.9, nor a URL, nor an archive or folder"
        in missing.stderr
    )


def test_buildah_is_asked_by_way_of_a_container(builder):
    """buildah runs no images: a container is made to ask for the tag, and removed."""
    done = rios_awsbatch("image", "build", "--builder", "buildah")
    assert f"Built rios:{TAG}" in done.stdout, done.stderr
    assert [call["words"][0] for call in builder()] == ["build", "from", "run", "rm", "tag"]


def test_a_build_that_fails(builder, monkeypatch):
    """One sentence with the builder's exit status; there is nothing to tag."""
    monkeypatch.setenv("FAILS_AT", "build")
    done = rios_awsbatch("image", "build", "--builder", "docker")
    assert (done.returncode, done.stderr) == (
        1,
        "rios-awsbatch: `docker build` failed with exit status 125; see above for why.\n",
    )
    assert len(builder()) == 1


def test_a_builder_that_is_not_there():
    """One sentence that names the others."""
    done = rios_awsbatch("image", "build", "--builder", "kaniko")
    assert done.returncode == 1
    assert "kaniko cannot be run: No such file or directory." in done.stderr
    assert "docker, podman, buildah" in done.stderr


# The plugin in the image


def test_the_wheel_of_an_installed_package_is_what_is_installed(tmp_path):
    """Who has no checkout gets the same package into the image: its wheel is put together again, and installs."""
    wheel = image.plugin_wheel(tmp_path)
    environment = tmp_path / "environment"
    subprocess.run(
        [sys.executable, "-m", "venv", "--system-site-packages", environment], check=True
    )
    python = environment / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall"]
    subprocess.run([python, *install, wheel], check=True)
    again = tmp_path / "again"
    again.mkdir()
    code = "import sys; from pathlib import Path; from rios_plugin_awsbatch import image, shipped; "
    code += "print(shipped.folder('image')); print(image.plugin_wheel(Path(sys.argv[1])))"
    path = os.pathsep.join(entry for entry in sys.path if entry.endswith("site-packages"))
    # This environment's libraries come after the new one's: only the package itself is there twice.
    code = f"import sys; sys.path += {path!r}.split(':'); {code}"
    told = subprocess.run(
        [python, "-c", code, again], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    folder, repacked = map(Path, told.stdout.split())
    assert environment in folder.parents
    assert {file.name for file in folder.iterdir()} >= {
        "Dockerfile",
        "Makefile",
        "print_ecr_path.py",
    }
    assert (folder / "Dockerfile").read_text() == DOCKERFILE
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(repacked) as second:
        contents = [
            {name: packed.read(name) for name in packed.namelist() if not name.endswith("RECORD")}
            for packed in (first, second)
        ]
    assert contents[0] == contents[1]
    subprocess.run([python, *install, repacked], check=True)
    assert {script.name for script in (environment / "bin").glob("rios-*")} == {
        "rios-awsbatch",
        "rios-awsbatch-main",
        "rios-awsbatch-worker",
    }


# push and path


@pytest.mark.usefixtures("repositories")
def test_push_logs_in_through_boto3(builder):
    """The password goes to the builder's standard input, never onto a command line; both tags are pushed."""
    done = rios_awsbatch("image", "push")
    names = [f"{REGISTRY}/riosecr:latest", f"{REGISTRY}/riosecr:{TAG}"]
    assert done.stdout == "".join(f"Pushed {name}\n" for name in names), done.stderr
    calls = builder()
    (login,) = [call for call in calls if call["words"][0] == "login"]
    assert login["words"] == ["login", "--username=AWS", "--password-stdin", REGISTRY]
    assert login["input"]
    assert not any(login["input"] in word for call in calls for word in call["words"])
    assert [call["words"][1:] for call in calls if call["words"][0] == "tag"] == [
        ["rios:latest", name] for name in names
    ]
    assert [call["words"][1:] for call in calls if call["words"][0] == "push"] == [
        [name] for name in names
    ]


@pytest.mark.usefixtures("repositories")
def test_push_an_image_of_ones_own_for_main(builder):
    """--main pushes to the repository of main's images; a tag of one's own is kept."""
    done = rios_awsbatch("image", "push", "--main", "landcover:3")
    assert done.stdout.split() == [
        "Pushed",
        f"{REGISTRY}/riosecrmain:latest",
        "Pushed",
        f"{REGISTRY}/riosecrmain:3",
    ]
    assert [call["words"][0] for call in builder()] == ["login", "tag", "push", "tag", "push"]


@pytest.mark.usefixtures("repositories")
def test_push_that_fails(builder, monkeypatch):
    """What the registry refuses is one sentence, and nothing is said to be pushed."""
    monkeypatch.setenv("FAILS_AT", "push")
    done = rios_awsbatch("image", "push")
    assert (done.returncode, done.stdout) == (1, "")
    assert "`docker push` failed with exit status 125" in done.stderr
    assert builder()


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
    """The command and the script that people know print the same."""
    assert rios_awsbatch("image", "path", *words).stdout == f"{path}\n"
    script = [sys.executable, FOLDER / "print_ecr_path.py", *words]
    assert subprocess.run(script, capture_output=True, text=True, check=True).stdout == f"{path}\n"


@pytest.mark.usefixtures("cloud")
def test_path_without_a_repository(monkeypatch):
    """A stack without the output, and no stack at all, are one sentence each."""
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "nowhere")
    script = [sys.executable, FOLDER / "print_ecr_path.py"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("print_ecr_path: There is no stack nowhere in ap-southeast-2; ")
    boto3.client("cloudformation", region_name="ap-southeast-2").create_stack(
        StackName="bare", TemplateBody=STACK.partition("Outputs:")[0]
    )
    monkeypatch.setenv("RIOS_AWSBATCH_STACK", "bare")
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert "has no output BatchECR" in done.stderr


# make


@pytest.mark.usefixtures("repositories")
def test_make_builds_and_pushes(builder):
    """`RIOS_AWSBATCH_REGION=... make` does all of it, with what the environment or the command line says."""
    done = make(
        "PIP_PACKAGES=xarray zarr",
        RIOS_AWSBATCH_REGION="ap-southeast-2",
        EXTRA_PACKAGES="less python3-yaml",
    )
    assert done.returncode == 0, done.stderr
    assert [call["words"][0] for call in builder()][:3] == ["build", "run", "tag"]
    assert [call["words"][0] for call in builder()][-1] == "push"
    given = arguments(builder()[0])
    assert (given["EXTRA_PACKAGES"], given["PIP_PACKAGES"]) == ("less python3-yaml", "xarray zarr")


def test_make_wants_a_region_to_push_to(builder):
    """Building needs none; pushing to a region that nobody has named is refused."""
    done = make("push")
    assert done.returncode != 0
    assert "RIOS_AWSBATCH_REGION is not set" in done.stderr
    assert builder() == []
    assert make("build", "BUILDER=podman").returncode == 0


def test_check_says_why_it_skips(tmp_path):
    """Without its tools, the check of the real image is skipped with a reason."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    done = subprocess.run(
        [tmp_path / "bash", FOLDER / "check.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (
        0,
        "image/check.sh: skipped: there is no buildah here (apt-get install buildah debootstrap)\n",
    )
