"""Set up everything that the project needs: GDAL's library, a virtual environment, the package.

    python3 tools/bootstrap.py [ENVIRONMENT]      (default: .venv)

Uses the standard library alone, because nothing else is there yet; quick when nothing has changed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "bootstrap.stamp"
OLDEST_PYTHON = (3, 10)
ELSEWHERE = """\
This system has no apt-get, so please install by hand what is missing here: {missing}.
  needed        libgdal with its headers (gdal-config), a C++ compiler, Python >= 3.10 with its headers
  macOS         xcode-select --install; brew install gdal python
  Fedora        dnf install gdal-devel gcc-c++ python3-devel
  conda         conda create -n rios -c conda-forge libgdal-core cxx-compiler python; conda activate rios
Then run the same command again."""


def say(message: str) -> None:
    """Tell what is being done; make and pip share the terminal, so every line says whose it is."""
    print(f"bootstrap: {message}", flush=True)


def run(*command: object, check: bool = True) -> None:
    """Run a command, or end with one sentence that says which one failed."""
    words = [str(word) for word in command]
    code = subprocess.run(words, stdin=subprocess.DEVNULL, cwd=ROOT, check=False).returncode
    if code and check:
        sys.exit(f"bootstrap: this command failed (exit code {code}), see above: {' '.join(words)}")


def ask(*command: object) -> str:
    """What a command prints, or nothing when it cannot run or fails."""
    try:
        answer = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, cwd="/", check=False
        )
    except OSError:
        return ""
    return "" if answer.returncode else answer.stdout.strip()


def missing_packages() -> dict[str, str]:
    """The apt packages to install, each with what was looked for and not found."""
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
    """Install what the system lacks, through apt-get; elsewhere, say what to install."""
    missing = missing_packages()
    if not missing:
        return
    if not shutil.which("apt-get"):
        sys.exit(ELSEWHERE.format(missing=", ".join(missing.values())))
    say(f"missing: {', '.join(missing.values())}; installing with apt-get: {' '.join(missing)}")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and not shutil.which("sudo"):
        sys.exit(
            f"bootstrap: neither root nor sudo here; as root, run: apt-get install {' '.join(missing)}"
        )
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    # One unreachable third-party source fails the update, and yet the packages may be there.
    run(*apt, "update", check=False)
    run(*apt, "install", "-y", "--no-install-recommends", *missing)
    missing = missing_packages()
    if missing:
        sys.exit(f"bootstrap: still missing after apt-get install: {', '.join(missing.values())}")


def fingerprint(gdal: str) -> str:
    """What the environment was made from: when it changes, the environment is brought up to date."""
    # Not sys.version: installing python3-dev may bring another build of the same Python.
    parts = [sys.base_prefix, platform.python_version(), gdal, str(ROOT)]
    parts += [path.read_text() for path in (ROOT / "pyproject.toml", Path(__file__))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def make_environment(environment: Path) -> Path:
    """The environment's Python; made anew when it is not there, broken, or another Python's."""
    python = environment / "bin" / "python"
    identity = "import platform, sys; print(sys.base_prefix, platform.python_version())"
    if ask(python, "-c", identity) != ask(sys.executable, "-c", identity):
        say(f"making a virtual environment of Python {platform.python_version()} in {environment}")
        # In an activated environment that is about to be cleared, its own Python cannot do it.
        run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--clear", environment)
    return python


def numpy_for(gdal: str) -> str:
    """The numpy that GDAL's bindings work with; Python 3.13 has numpy 2 only."""
    old = tuple(int(part) for part in gdal.split(".")[:2]) < (3, 9)
    return "numpy<2" if old and sys.version_info < (3, 13) else "numpy"


def install_gdal(python: Path, gdal: str) -> None:
    """Build GDAL's bindings for exactly this libgdal, with numpy at hand, else they lack gdal_array."""
    probe = "from osgeo import gdal, gdal_array; print(gdal.__version__)"
    if ask(python, "-c", probe) == gdal:
        return
    say(f"building GDAL's Python bindings {gdal} (about half a minute)")
    pip = [python, "-m", "pip", "install", "-qq"]
    run(*pip, "--upgrade", "pip>=24", "setuptools>=67,<85", "wheel", numpy_for(gdal))
    # A cached wheel may have been built without numpy.
    build = "--no-build-isolation --no-cache-dir --force-reinstall --no-deps --no-binary gdal"
    run(*pip, *build.split(), f"gdal=={gdal}")
    if ask(python, "-c", probe) != gdal:
        run(python, "-c", probe)
        sys.exit(f"bootstrap: GDAL's bindings were built, but not for the installed libgdal {gdal}")


def main() -> None:
    """Bring the system and the environment up to date, doing only what is not done yet."""
    if sys.version_info < OLDEST_PYTHON:
        version = platform.python_version()
        sys.exit(
            f"bootstrap: {sys.executable} is Python {version}, too old: make PYTHON=python3.11 ..."
        )
    environment = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".venv").absolute()
    stamp = environment / STAMP
    python = environment / "bin" / "python"
    gdal = ask("gdal-config", "--version")
    if gdal and python.exists() and stamp.exists() and stamp.read_text() == fingerprint(gdal):
        return
    install_system_packages()
    gdal = ask("gdal-config", "--version")
    python = make_environment(environment)
    stamp.unlink(missing_ok=True)
    install_gdal(python, gdal)
    say("installing the package and its development tools (a minute or two the first time)")
    run(python, "-m", "pip", "install", "-qq", "-e", ".[dev,local]", numpy_for(gdal))
    stamp.write_text(fingerprint(gdal))
    say(f"ready: {environment}")


if __name__ == "__main__":
    main()
