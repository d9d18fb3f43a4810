"""What the Dockerfile says."""

import re

from rios_plugin_awsbatch.image.build import LATEST_RIOS
from rios_plugin_awsbatch.image.builder import TAG_FILE
from tests.image.support.programs import DOCKERFILE


def instructions():
    """Return the Dockerfile's instructions, without comments and with their lines joined."""
    lines = [
        line
        for line in DOCKERFILE.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+", " ", text) for text in joined]


def stages():
    """Return the instructions of each stage by its name; the last one has none."""
    found, name = {}, None
    for text in instructions():
        if text.startswith("FROM"):
            name = text.partition(" AS ")[2]
            found[name] = []
        if name is not None:
            found[name].append(text)
    return found


def instruction(stage, kind):
    """Return the one instruction of that kind in a stage."""
    (found,) = [text for text in stages()[stage] if text.startswith(kind)]
    return found


def test_the_base_image_is_an_argument():
    """Any Ubuntu or Debian will do; GDAL is not installed where there is one."""
    assert instructions()[0] == "ARG BASE_IMAGE=ubuntu:24.04"
    assert stages()["system"][0] == "FROM ${BASE_IMAGE} AS system"
    run = instruction("system", "RUN")
    assert '$(python3 -c "from osgeo import gdal_array" 2>/dev/null || echo python3-gdal)' in run
    assert re.search(r"apt-get install [^&]*\$\{gdal\} \$\{EXTRA_PACKAGES\}", run)


def test_numpy_is_kept():
    """The constraint is written before pip installs anything, also in images built FROM this."""
    run, environment = instruction("system", "RUN"), instruction("system", "ENV")
    constraint = re.search(r"PIP_CONSTRAINT=(\S+)", environment).group(1)
    assert run.endswith(f"> {constraint}")
    assert "pip install" not in run


def test_the_system_s_python_has_everything():
    """There is no virtual environment to find; PEP 668 is off, also in images built FROM this."""
    assert "PIP_BREAK_SYSTEM_PACKAGES=1" in instruction("system", "ENV")
    assert "venv" not in "".join(instructions())
    assert "COPY --from=python /installed/usr/local/ /usr/local/" in stages()[""]


def test_several_extra_packages_of_both_kinds():
    """Both arguments are split at blanks, and nothing in them is a pattern of file names."""
    for stage, name in (("system", "EXTRA_PACKAGES"), ("python", "PIP_PACKAGES")):
        assert f'ARG {name}=""' in stages()[stage]
        run = instruction(stage, "RUN")
        assert f" ${{{name}}}" in run
        assert run.startswith("RUN set -ef")


def test_the_last_build_step_checks_the_import():
    """Whatever was installed, GDAL works with numpy and RIOS with GDAL, and the tag is kept."""
    last = [text for text in instructions() if text.startswith("RUN")][-1]
    assert "import osgeo.gdal_array, rios.applier" in last
    assert f"-m rios_plugin_awsbatch.image.tag > {TAG_FILE}" in last
    copied = "COPY --from=python /installed/usr/local/ /usr/local/"
    assert instructions().index(last) > instructions().index(copied)


def test_the_worker_is_the_entry_point_and_not_root():
    """After the last step nothing runs as root."""
    end = stages()[""]
    assert end[-1] == 'ENTRYPOINT ["rios-awsbatch-worker"]'
    assert "USER rios" in end[end.index(instruction("", "RUN")) :]


def test_layers_are_few_and_small():
    """There are three, without apt's lists, pip's cache, or what was only needed to build."""
    kinds = ("RUN", "COPY", "ADD")
    layers = [text for stage in ("system", "") for text in stages()[stage]]
    layers = [text for text in layers if text.startswith(kinds)]
    assert len(layers) == 3
    assert "--no-install-recommends" in layers[0]
    assert "rm -rf /var/lib/apt/lists/*" in layers[0]
    assert instruction("python", "COPY") == "COPY packages /packages"
    assert "PIP_NO_CACHE_DIR=1" in instruction("system", "ENV")


def test_the_default_release_of_rios_is_the_command_s():
    """A build by hand installs the same RIOS as a build by the command."""
    release = f"rios-{LATEST_RIOS}/rios-{LATEST_RIOS}.tar.gz"
    argument = instruction("python", "ARG RIOS=")
    assert argument == f"ARG RIOS=https://github.com/ubarsc/rios/releases/download/{release}"
