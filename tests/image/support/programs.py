"""The programs that the tests of the image run, and what a fake builder has recorded."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import commands

FOLDER = Path(__file__).parents[3] / "image"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
SCRIPTS = Path(sys.executable).parent
CONDA_DOCKERFILE = (FOLDER.parent / "rios_plugin_awsbatch/image/Dockerfile.conda").read_text()
VERSIONS = {
    "python": "3.12.3",
    "numpy": "2.3.1",
    "gdal": "3.10.3",
    "rios": "2.0.9",
    "cloudpickle": "3.1.2",
    "rios-plugin-awsbatch": "0.1.0",
}
TAG = "py3.12.3-numpy2.3.1-gdal3.10.3-rios2.0.9-cloudpickle3.1.2-awsbatch0.1.0"
# Records its words and standard input; the only questions that it can answer are for the versions,
# in a file and in the labels of an image.
BUILDER = """
import json, os, sys
from pathlib import Path

words = sys.argv[1:]
call = {"words": words}
if words[0] == "push":
    folder = Path(os.environ["DOCKER_CONFIG"])
    assert os.environ["REGISTRY_AUTH_FILE"] == str(folder / "config.json")
    call["config"] = json.loads((folder / "config.json").read_text())
    call["mode"] = folder.stat().st_mode & 0o777
    call["beside"] = sorted(path.name for path in folder.iterdir())
    call["folder"] = str(folder)
if words[0] == "build":
    context = Path(words[-1])
    call["files"] = {
        str(path.relative_to(context)): path.read_bytes().decode(errors="replace")
        for path in context.rglob("*") if path.is_file()
    }
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
if words[0] == os.environ.get("FAILS_AT"):
    print(os.environ.get("SAYS", ""), file=sys.stderr)
    sys.exit(125)
versions = json.loads(os.environ["VERSIONS"])
if words[0] == "run":
    print(json.dumps(versions))
if words[0] == "inspect":
    labels = {f"rios-awsbatch.{name}": version for name, version in versions.items()}
    config = {"Labels": {"maintainer": "somebody", **labels}}
    buildah = Path(sys.argv[0]).name == "buildah"
    print(json.dumps({"OCIv1": {"config": config}} if buildah else [{"Config": config}]))
if words[0] == "from":
    print("rios-working-container")
"""


def rios_awsbatch(*words):
    """Run a command, with a region: without one it warns."""
    environment = {"RIOS_AWSBATCH_REGION": "ap-southeast-2", **os.environ}
    done = commands.run(*words, env=environment)
    return subprocess.CompletedProcess(words, done.code, done.out, done.err)


def print_ecr_path(*words):
    return _run(sys.executable, FOLDER / "print_ecr_path.py", *words)


def make(*words, **environment):
    """Run make in the folder image, without a region unless one is given."""
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if name != "RIOS_AWSBATCH_REGION"}
    command = ["make", "--no-print-directory", "-C", FOLDER, *words]
    return _run(*command, env={**kept, "PATH": path, **environment})


def _run(*command, env=None):
    return subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def arguments(call):
    """Return the build arguments of a builder's call."""
    prefix = "--build-arg="
    given = [word.removeprefix(prefix) for word in call["words"] if word.startswith(prefix)]
    return dict(word.split("=", 1) for word in given)


def verbs(calls):
    """Return what the builder was called for: "build", "tag" and so on."""
    return [call["words"][0] for call in calls]
