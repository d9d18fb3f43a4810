"""Environment variables: those that lead a process to the embedded AWS, and those of jobs."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["adapted", "client_environment", "container_environment"]

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
# What an image has: where programs and data are, and the language.
_IMAGE_NAMES: Final = {
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
}
_IMAGE_PREFIXES: Final = ("LC_", "PYTHON", "COVERAGE_", "COV_CORE_", "GDAL", "PROJ")


def client_environment(endpoint: str, region: str, stack: str) -> dict[str, str]:
    """Return the variables that make boto3, GDAL and this package use the embedded AWS.

    Args:
        endpoint: The server's URL.
        region: The stack's region.
        stack: The stack's name.
    """
    already = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    unproxied = ",".join(dict.fromkeys([*filter(None, already.split(",")), "127.0.0.1"]))
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
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


def container_environment(base: Mapping[str, str], python: str) -> dict[str, str]:
    """Return a job's own variables: what its image would have, and nothing of the submitter's.

    Args:
        base: The server's own variables.
        python: The interpreter that the image has, beside which its programs are.
    """
    kept = {
        name: value
        for name, value in base.items()
        if name in _IMAGE_NAMES or name.startswith(_IMAGE_PREFIXES)
    }
    if python != sys.executable:
        # They would lead another interpreter to this one's modules.
        for name in ("PYTHONPATH", "PYTHONHOME"):
            kept.pop(name, None)
    programs = str(Path(python).parent)
    kept["PATH"] = os.pathsep.join([programs, kept.get("PATH", os.defpath)])
    return kept
