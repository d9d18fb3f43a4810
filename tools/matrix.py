"""Run tests/matrix with a main and workers that have different versions.

    python tools/matrix.py FOLDER            every main with every worker
    python tools/matrix.py --short FOLDER    this interpreter as main, with one worker

The environments are made in FOLDER, by uv. Besides numpy and cloudpickle, they have the versions
that requirements.lock has.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
NEWEST = ""
NUMPYS = ("1.24.4", "1.26.4", NEWEST)
CLOUDPICKLES = ("3.0.0", NEWEST)  # the lower bound of pyproject.toml
VARIED = ("numpy", "cloudpickle")
# Of the short form: the worker's numpy, by main's major version.
OTHER_MAJOR = {"1": "2.2.6", "2": "1.26.4"}
FIRST_WITHOUT_NUMPY_1 = (3, 13)
OLDEST_FOR_IT = "2.1.3"


def run(*command: object, **variables: str) -> None:
    """Run a command in the project's folder; end this script if it fails."""
    words = [str(word) for word in command]
    code = subprocess.run(words, cwd=ROOT, env={**os.environ, **variables}, check=False).returncode
    if code:
        sys.exit(f"matrix: this command failed (exit code {code}), see above: {' '.join(words)}")


def environment(folder: Path, requirements: list[str], numpy: str, cloudpickle: str) -> Path:
    """Make an environment, unless it is there.

    Args:
        folder: Where the environments are.
        requirements: What to install besides numpy and cloudpickle, as arguments for uv.
        numpy: The version of numpy; empty for the newest.
        cloudpickle: The version of cloudpickle; empty for the newest.

    Returns:
        Its interpreter.
    """
    here = folder / f"numpy-{numpy or 'newest'}-cloudpickle-{cloudpickle or 'newest'}"
    python = here / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    wanted = {"numpy": numpy, "cloudpickle": cloudpickle}
    pins = [f"{name}=={number}" if number else name for name, number in wanted.items()]
    if not python.exists():
        run(uv, "venv", "--quiet", "--python", sys.executable, here)
    constraints = folder / "constraints.txt"
    constraints.write_text(locked())
    options = ["--quiet", "--python", python, "--upgrade", "--constraints", constraints]
    run(uv, "pip", "install", *options, *requirements, *pins)
    return python


def locked() -> str:
    """Return the versions of requirements.lock as constraints, without what varies here."""
    lines = (line.rstrip("\\ ") for line in LOCK.read_text().splitlines())
    pins = [line for line in lines if "==" in line and not line.startswith((" ", "#"))]
    kept = [pin for pin in pins if pin.partition("==")[0] not in VARIED]
    return "".join(f"{pin}\n" for pin in kept)


def test(main: Path, workers: list[Path], arguments: list[str]) -> None:
    """Run the tests with an interpreter as main."""
    print(f"matrix: main is {main}", flush=True)
    variables = {"MATRIX_WORKERS": os.pathsep.join(map(str, workers))}
    run(main, "-m", "pytest", "-n", "0", "tests/matrix", *arguments, **variables)


def whole(folder: Path, arguments: list[str]) -> None:
    """Test each pair."""
    requirements = ["--editable", ".[local]", "--group", "test"]
    environments = [
        environment(folder, requirements, numpy, cloudpickle)
        for numpy, cloudpickle in itertools.product(NUMPYS, CLOUDPICKLES)
    ]
    for main in environments:
        test(main, environments, arguments)


def short(folder: Path, arguments: list[str]) -> None:
    """Test this interpreter with a worker that has numpy of the other major version."""
    other = OTHER_MAJOR[version("numpy").partition(".")[0]]
    if sys.version_info >= FIRST_WITHOUT_NUMPY_1:
        other = OLDEST_FOR_IT
    worker = environment(folder, ["--editable", "."], other, CLOUDPICKLES[0])
    test(Path(sys.executable), [worker], arguments)


def main() -> None:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(prog="matrix.py", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the environments are made")
    parser.add_argument("--short", action="store_true", help="one pair only")
    options, arguments = parser.parse_known_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (short if options.short else whole)(folder, arguments)


if __name__ == "__main__":
    main()
