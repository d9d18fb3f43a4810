"""Environment variables: those that lead a process to the embedded AWS, and those of jobs."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["adapted", "client_environment", "container_environment", "job_environment"]

# Retries are the client's own business. Any other AWS_* variable might lead it to another AWS.
_KEPT_AWS: Final = {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"}
# They name things of a real stack, which the embedded one does not have.
_FOREIGN: Final = {
    "RIOS_AWSBATCH_BUCKET",
    "RIOS_AWSBATCH_IN_QUEUE",
    "RIOS_AWSBATCH_OUT_QUEUE",
    "RIOSBucket",
    "RIOSInQueue",
    "RIOSOutQueue",
}
# Where programs and libraries are on this machine, and the language: what an image has of its own.
_MACHINE_NAMES: Final = {
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
}
# The latter are for measuring the coverage of jobs by tests; no other program knows them.
_MACHINE_PREFIXES: Final = ("LC_", "COVERAGE_", "COV_CORE_")
# What image/Dockerfile sets, but for pip.
_IMAGE: Final = {
    "PYTHONUNBUFFERED": "1",
    "GDAL_HTTP_MAX_RETRY": "8",
    "GDAL_HTTP_RETRY_DELAY": "2",
    "VSI_CACHE": "TRUE",
}
# What every image has. Here, it may be a checkout or stand on PYTHONPATH.
_IMAGE_PACKAGES: Final = ("rios_plugin_awsbatch", "rios", "osgeo")


def client_environment(
    endpoint: str, region: str, stack: str, key: tuple[str, str] | None = None
) -> dict[str, str]:
    """Return the variables that make boto3, GDAL and this package use the embedded AWS.

    Args:
        endpoint: The server's URL.
        region: The stack's region.
        stack: The stack's name.
        key: Id and secret of an access key; None for a job, which has its role's credentials.
    """
    already = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    unproxied = ",".join(dict.fromkeys([*filter(None, already.split(",")), "127.0.0.1"]))
    return {
        "AWS_ENDPOINT_URL": endpoint,
        **({"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]} if key else {}),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # GDAL's /vsis3/ has names of its own.
        "AWS_S3_ENDPOINT": endpoint.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "NO_PROXY": unproxied,
        "no_proxy": unproxied,
        "RIOS_AWSBATCH_EMBEDDED": "1",
        "RIOS_AWSBATCH_REGION": region,
        "RIOS_AWSBATCH_STACK": stack,
    }


def adapted(base: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``base``, updated by ``environment``, without what would lead to another AWS.

    Variables are left out because an empty value would not do: botocore looks for a profile even
    if ``AWS_PROFILE`` is empty, and ``AWS_ENDPOINT_URL_S3`` wins over ``AWS_ENDPOINT_URL``.
    """
    kept = {
        name: value
        for name, value in base.items()
        if name not in _FOREIGN and (name in _KEPT_AWS or not name.startswith("AWS_"))
    }
    return {**kept, **environment}


def container_environment(base: Mapping[str, str], python: str, packages: Path) -> dict[str, str]:
    """Return a job's own variables: what its image would have, and nothing of the submitter's.

    Args:
        base: The server's environment.
        python: The interpreter that the image has, beside which its programs are.
        packages: An empty folder, for what every image has and this Python's site-packages have
            not. Jobs cannot import anything else that stands beside it.
    """
    kept = {
        name: value
        for name, value in base.items()
        if name in _MACHINE_NAMES or name.startswith(_MACHINE_PREFIXES)
    }
    programs = str(Path(python).parent)
    kept["PATH"] = os.pathsep.join([programs, kept.get("PATH", os.defpath)])
    if python != sys.executable:  # it has packages of its own
        return {**kept, **_IMAGE}
    _link_packages(packages)
    return {**kept, **_IMAGE, "PYTHONPATH": str(packages)}


def job_environment(container: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a job.

    Args:
        container: From `container_environment`.
        given: What the job definition and the request say. A PYTHONPATH of theirs does not hide
            what every image has.
    """
    path = [*filter(None, [given.get("PYTHONPATH"), container.get("PYTHONPATH")])]
    joined = {"PYTHONPATH": os.pathsep.join(path)} if path else {}
    return {**container, **given, **joined}


def _link_packages(folder: Path) -> None:
    """Make links to what every image has, unless it is installed where jobs find it."""
    for name in _IMAGE_PACKAGES:
        spec = importlib.util.find_spec(name)
        (place, *_) = (spec and spec.submodule_search_locations) or [""]
        if place and not {"site-packages", "dist-packages"} & {*Path(place).parts}:
            (folder / name).symlink_to(Path(place).absolute(), target_is_directory=True)
