"""Set up everything the project needs: the GDAL library, a virtual environment and the package.

    python3 tools/bootstrap.py [ENVIRONMENT]              (default: .venv)
    python3 tools/bootstrap.py --only-gdal ENVIRONMENT

The first form installs the versions in requirements.lock, then the Python bindings of the GDAL that
this system has, then the package itself. The second form only builds the bindings, for whatever
versions of numpy and setuptools the environment already has.

This script uses only the standard library, because nothing else is installed when it runs. It
returns at once when nothing has changed since the last run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
STAMP = "bootstrap.stamp"
OLDEST_PYTHON = (3, 10)
ELSEWHERE = """\
This system has no apt-get. Please install what is missing: {missing}.
  needed        libgdal with headers (gdal-config), a C++ compiler, Python >= 3.10 with headers
  macOS         xcode-select --install; brew install gdal python
  Fedora        dnf install gdal-devel gcc-c++ python3-devel
  conda         conda create -n rios -c conda-forge libgdal-core cxx-compiler python
                conda activate rios
Then run the same command again."""


def say(message: str) -> None:
    """Print a message, marked as ours because make and pip write to the same terminal.

    Args:
        message: What is being done.
    """
    print(f"bootstrap: {message}", flush=True)


def run(*command: object, check: bool = True) -> None:
    """Run a command in the project's folder.

    Args:
        command: The program and its arguments.
        check: Whether a failure ends this script with a message that names the command.
    """
    words = [str(word) for word in command]
    code = subprocess.run(words, stdin=subprocess.DEVNULL, cwd=ROOT, check=False).returncode
    if code and check:
        failed = " ".join(words)
        sys.exit(f"bootstrap: this command failed (exit code {code}), see above: {failed}")


def ask(*command: object) -> str:
    """Run a command for its output.

    Args:
        command: The program and its arguments.

    Returns:
        What the command printed, or an empty string if it could not run or failed.
    """
    words = [str(word) for word in command]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, cwd="/", check=False)
    except OSError:
        return ""
    return "" if answer.returncode else answer.stdout.strip()


def missing_packages() -> dict[str, str]:
    """Look for everything that has to come from the system.

    Returns:
        The apt packages to install, each with a description of what it provides.
    """
    python = "python{}.{}".format(*sys.version_info)
    missing = {}
    if not shutil.which("gdal-config"):
        missing["libgdal-dev"] = "libgdal with its headers"
    if not shutil.which(os.environ.get("CXX", "g++").split()[0]):
        missing["g++"] = "a C++ compiler"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing[f"{python}-dev"] = f"the headers of {sys.executable}"
    if not ask(sys.executable, "-c", "import ensurepip, venv; print('ok')"):
        missing[f"{python}-venv"] = f"the venv module of {sys.executable}"
    return missing


def install_system_packages() -> None:
    """Install what the system lacks with apt-get, or say what to install where there is none."""
    missing = missing_packages()
    if not missing:
        return
    if not shutil.which("apt-get"):
        sys.exit(ELSEWHERE.format(missing=", ".join(missing.values())))
    names = " ".join(missing)
    say(f"missing: {', '.join(missing.values())}; installing with apt-get: {names}")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and not shutil.which("sudo"):
        sys.exit(f"bootstrap: no sudo here, so please run as root: apt-get install {names}")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    # The update fails if one third-party source is down, but the packages may still be available.
    run(*apt, "update", check=False)
    run(*apt, "install", "-y", "--no-install-recommends", *missing)
    missing = missing_packages()
    if missing:
        still = ", ".join(missing.values())
        sys.exit(f"bootstrap: still missing after apt-get install: {still}")


def fingerprint(gdal: str) -> str:
    """Identify everything the environment is made from.

    Args:
        gdal: The version of the installed libgdal.

    Returns:
        A digest. When it differs from the one in the stamp, the environment is out of date.
    """
    # Not sys.version: installing python3-dev may bring another build of the same Python.
    parts = [sys.base_prefix, platform.python_version(), gdal, str(ROOT)]
    sources = (ROOT / "pyproject.toml", LOCK, Path(__file__))
    parts += [source.read_text() for source in sources]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def make_environment(environment: Path) -> None:
    """Create the virtual environment, unless a working one of this very Python is there.

    Args:
        environment: The folder of the environment.
    """
    identity = "import platform, sys; print(sys.base_prefix, platform.python_version())"
    if ask(python_of(environment), "-c", identity) == ask(sys.executable, "-c", identity):
        return
    say(f"making a virtual environment of Python {platform.python_version()} in {environment}")
    # An environment cannot be cleared by its own Python, should it be the activated one.
    base = getattr(sys, "_base_executable", sys.executable)
    run(base, "-m", "venv", "--clear", environment)


def python_of(environment: Path) -> Path:
    """Return the path of an environment's Python.

    Args:
        environment: The folder of the environment.

    Returns:
        The path, whether or not the file exists.
    """
    return environment / "bin" / "python"


def install_gdal(python: Path, gdal: str) -> None:
    """Build GDAL's bindings for the installed libgdal, unless they are there.

    The environment must have setuptools and wheel, and numpy, without which gdal_array is left out.

    Args:
        python: The environment's Python.
        gdal: The version of the installed libgdal.
    """
    probe = "from osgeo import gdal, gdal_array; print(gdal.__version__)"
    if ask(python, "-c", probe) == gdal:
        return
    say(f"building GDAL's Python bindings {gdal} (about half a minute)")
    # No cache: a cached wheel may have been built without numpy, or for another one.
    options = "-qq --no-build-isolation --no-cache-dir --force-reinstall --no-deps --no-binary gdal"
    run(python, "-m", "pip", "install", *options.split(), f"gdal=={gdal}")
    if ask(python, "-c", probe) != gdal:
        run(python, "-c", probe)
        sys.exit(f"bootstrap: GDAL's bindings were built, but not for the installed libgdal {gdal}")


def install_project(environment: Path) -> None:
    """Bring the environment up to date: the locked versions, GDAL's bindings, the package.

    Args:
        environment: The folder of the environment.
    """
    python = python_of(environment)
    stamp = environment / STAMP
    gdal = ask("gdal-config", "--version")
    if gdal and python.exists() and stamp.exists() and stamp.read_text() == fingerprint(gdal):
        return
    install_system_packages()
    gdal = ask("gdal-config", "--version")
    make_environment(environment)
    stamp.unlink(missing_ok=True)
    pip = [python, "-m", "pip", "install", "-qq"]
    say(f"installing what {LOCK.name} lists (a minute or two the first time)")
    run(*pip, "--require-hashes", "-r", LOCK)
    install_gdal(python, gdal)
    run(*pip, "--no-deps", "--no-build-isolation", "-e", ".")
    stamp.write_text(fingerprint(gdal))
    say(f"ready: {environment}")


def main() -> None:
    """Read the command line and do what it asks, skipping what has been done before."""
    if sys.version_info < OLDEST_PYTHON:
        found = f"{sys.executable} is Python {platform.python_version()}"
        sys.exit(f"bootstrap: {found}, too old: make PYTHON=python3.11 ...")
    parser = argparse.ArgumentParser(prog="bootstrap.py", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", nargs="?", type=Path, default=ROOT / ".venv")
    parser.add_argument("--only-gdal", action="store_true", help="only build the GDAL bindings")
    arguments = parser.parse_args()
    environment = arguments.environment.absolute()
    if arguments.only_gdal:
        install_system_packages()
        install_gdal(python_of(environment), ask("gdal-config", "--version"))
    else:
        install_project(environment)


if __name__ == "__main__":
    main()
