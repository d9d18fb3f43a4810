"""requirements.lock has everything that pyproject.toml asks for, and nothing of one machine."""

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HASH = re.compile(r" --hash=sha256:[0-9a-f]{64}")


def locked_lines():
    """Return the lines of the lock, each with the hashes that belong to it."""
    lines = (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    return [line for line in lines if not line.startswith("#")]


def locked_versions(target):
    """Return the locked version of each package for one Python and one system."""
    versions = {}
    for line in locked_lines():
        requirement = Requirement(HASH.sub("", line))
        if applies(requirement, target):
            assert requirement.name not in versions, f"{requirement.name} is locked twice"
            (specifier,) = requirement.specifier
            versions[requirement.name] = specifier.version
    return versions


def applies(requirement, target):
    return requirement.marker is None or requirement.marker.evaluate(target)


def group(name):
    for entry in PYPROJECT["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from group(entry["include-group"])


def wanted():
    """Return what `make setup` installs, as pyproject.toml asks for it."""
    project = PYPROJECT["project"]
    extra = project["optional-dependencies"]["local"]
    return [Requirement(entry) for entry in (*project["dependencies"], *extra, *group("dev"))]


def test_only_names_versions_markers_and_hashes():
    """Each line pins one package by version and hash; there is no URL, path or option."""
    for line in locked_lines():
        requirement = Requirement(HASH.sub("", line))
        assert HASH.search(line), f"no hash: {line}"
        assert requirement.url is None
        assert [specifier.operator for specifier in requirement.specifier] == ["=="]


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_the_lock_meets_pyproject(python, system):
    """On every Python and system, one version of each requirement is locked, and it will do."""
    target = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    versions = locked_versions(target)
    for requirement in wanted():
        if applies(requirement, target):
            version = versions.get(canonicalize_name(requirement.name))
            assert version, f"{requirement} is not locked; run: make lock"
            assert version in requirement.specifier, f"{version} is locked; run: make lock"
