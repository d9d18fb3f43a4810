"""The programs that the tests of the image run, and what a fake builder has recorded."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "image"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
SCRIPTS = Path(sys.executable).parent
TAG = "py3.12.3-gdal3.8.4-rios2.0.9-awsbatch0.1.0"
# Records its words and standard input; the only question that it can answer is for the tag.
BUILDER = """
import json, os, sys
from pathlib import Path

words = sys.argv[1:]
call = {"words": words, "input": "" if "--password-stdin" not in words else sys.stdin.read()}
if words[0] == "build":
    context = Path(words[-1])
    files = (path.relative_to(context) for path in context.rglob("*") if path.is_file())
    call["files"] = sorted(map(str, files))
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


def rios_awsbatch(*words):
    return _run(SCRIPTS / "rios-awsbatch", *words)


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
