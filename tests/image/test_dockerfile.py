"""What the two Dockerfiles say."""

import re
import shutil
import subprocess

import pytest

from rios_plugin_awsbatch.image.builder import VERSIONS_FILE
from rios_plugin_awsbatch.image.rios import LATEST_RIOS
from tests.image.support.programs import CONDA_DOCKERFILE, DOCKERFILE

BOTH = pytest.mark.parametrize("text", [DOCKERFILE, CONDA_DOCKERFILE], ids=["pip", "conda"])
# https://docs.docker.com/reference/dockerfile/
INSTRUCTIONS = {"ARG", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "USER", "WORKDIR"}


def instructions(text=DOCKERFILE):
    """Return a Dockerfile's instructions, without comments and with their lines joined."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+", " ", text) for text in joined]


def stages(text=DOCKERFILE):
    """Return the instructions of each stage by its name; the last one has none."""
    found, name = {}, None
    for one in instructions(text):
        if one.startswith("FROM"):
            name = one.partition(" AS ")[2]
            found[name] = []
        if name is not None:
            found[name].append(one)
    return found


def those(stage, kind, text=DOCKERFILE):
    """Return the instructions of that kind in a stage."""
    return [one for one in stages(text)[stage] if one.startswith(kind)]


@BOTH
def test_every_instruction_is_one_that_all_builders_know(text):
    """No line is broken off, and each command is a shell's."""
    for one in instructions(text):
        assert one.split()[0] in INSTRUCTIONS, one
        if one.startswith("RUN"):
            command = one.removeprefix("RUN ")
            assert command.startswith("set -e")  # a failure in the middle ends the build
            subprocess.run(["sh", "-n", "-c", command], check=True)


@BOTH
def test_every_shell_command_is_clean(text):
    """shellcheck finds nothing but words that are to be split."""
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck here")
    # SC2046, SC2086: lists of packages are split at blanks, and `set -f` lets no pattern match.
    options = ["--shell=sh", "--exclude=SC2046,SC2086", "-"]
    for one in instructions(text):
        if one.startswith("RUN"):
            script = one.removeprefix("RUN ")
            subprocess.run(["shellcheck", *options], input=script, text=True, check=True)


@BOTH
def test_every_variable_of_a_command_is_an_argument_of_its_stage(text):
    """An ARG counts only in the stage that has it, after its line."""
    for stage in stages(text).values():
        known = {"PATH"}
        for one in stage[1:]:
            if one.startswith("ARG"):
                known.add(one.split()[1].partition("=")[0])
            if one.startswith("RUN"):
                used = set(re.findall(r"\$\{(\w+)\}", one)) - set(re.findall(r"(\w+)=\$\(", one))
                assert used <= known, one


@BOTH
def test_the_base_image_is_an_argument(text):
    """It can be given with its digest."""
    assert re.fullmatch(r"ARG BASE_IMAGE=\S+:\S+", instructions(text)[0])
    assert instructions(text)[1].split()[:2] == ["FROM", "${BASE_IMAGE}"]


@BOTH
def test_numpy_and_cloudpickle_are_kept(text):
    """The constraints count for whatever pip installs, also in images built FROM this one."""
    (environment,) = those(next(iter(stages(text))), "ENV", text)
    path = re.search(r"PIP_CONSTRAINT=(\S+)", environment).group(1)
    copied = f"cp /packages/constraints.txt {path.rpartition('/')[0]}/"
    (run,) = [one for one in instructions(text) if copied in one]
    assert run.index(copied) < run.index("pip install")


def test_gdal_is_built_for_this_python_and_this_numpy():
    """The bindings have the version of the system's libgdal, and find numpy, which comes first."""
    run = those("python", "RUN")[1]
    build = 'pip install --no-build-isolation --no-binary gdal --no-deps "gdal==$(gdal-config'
    assert run.index("pip install numpy") < run.index(build)


@BOTH
def test_a_file_with_hashes_is_installed_alone(text):
    """If pip sees one hash it requires them of everything in the same command."""
    assert "pip install --requirement /packages/requirements.txt &&" in " ".join(instructions(text))


@BOTH
def test_the_last_build_step_checks_the_import(text):
    """Whatever was installed, GDAL works with numpy and RIOS with GDAL; the versions are kept."""
    last = [one for one in instructions(text) if one.startswith("RUN")][-1]
    assert "import osgeo.gdal_array, rios.applier" in last
    assert f"-m rios_plugin_awsbatch.image.contents > {VERSIONS_FILE}" in last


@BOTH
def test_the_worker_is_the_entry_point_and_not_root(text):
    """After the last step nothing runs as root."""
    *_, user, folder, entry = instructions(text)
    assert (user, folder) == ("USER rios", "WORKDIR /home/rios")
    assert entry.startswith("ENTRYPOINT [")
    assert entry.endswith('"rios-awsbatch-worker"]')


def test_layers_are_few_and_small():
    """There are four, without apt's lists, pip's cache, or what was only needed to build."""
    kinds = ("RUN", "COPY", "ADD")
    layers = [one for stage in ("system", "") for one in stages()[stage] if one.startswith(kinds)]
    assert len(layers) == 4
    assert "--no-install-recommends" in layers[0]
    assert "rm -rf /var/lib/apt/lists/*" in layers[0]
    assert "g++" not in "".join(layers)
    assert "PIP_NO_CACHE_DIR=1" in those("system", "ENV")[0]


@BOTH
def test_the_default_release_of_rios_is_the_command_s(text):
    """A build by hand installs the same RIOS as a build by the command."""
    release = f"rios-{LATEST_RIOS}/rios-{LATEST_RIOS}.tar.gz"
    argument = f"ARG RIOS=https://github.com/ubarsc/rios/releases/download/{release}"
    assert argument in instructions(text)
