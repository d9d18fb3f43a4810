"""A registry's password for one push, which no configuration of the user's gets to know.

`docker login` would write it to where the user's configuration says. There it stays, and where that
is AWS's own credential helper, it is refused:
https://github.com/awslabs/amazon-ecr-credential-helper/issues/102
"""

import base64
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["logged_in"]

_FILE: Final = "config.json"
# What in a configuration says where passwords are.
_PASSWORDS: Final = ("auths", "credHelpers", "credsStore")


@contextlib.contextmanager
def logged_in(registry: str, user: str, password: str) -> Iterator[Mapping[str, str]]:
    """Have a builder know a password, for as long as a block runs.

    Args:
        registry: The registry.
        user: The user.
        password: The user's password there.

    Yields:
        Environment variables for the builder: DOCKER_CONFIG, docker's folder, and
        REGISTRY_AUTH_FILE, the file of podman and buildah.
        https://docs.docker.com/reference/cli/docker/
        https://docs.podman.io/en/latest/markdown/podman-push.1.html
    """
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    theirs = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with tempfile.TemporaryDirectory(prefix="rios-awsbatch-") as name:  # nobody else may read it
        folder = Path(name)
        config = {**_without_passwords(theirs), "auths": {registry: {"auth": token}}}
        (folder / _FILE).write_text(json.dumps(config), encoding="utf-8")
        _link_the_rest(theirs, folder)
        yield {"DOCKER_CONFIG": name, "REGISTRY_AUTH_FILE": str(folder / _FILE)}


def _without_passwords(folder: Path) -> dict[str, Any]:
    """Return docker's configuration: which machine's docker is used, proxies and the like."""
    try:
        found = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or docker itself would complain
        return {}
    return {name: value for name, value in found.items() if name not in _PASSWORDS}


def _link_the_rest(theirs: Path, folder: Path) -> None:
    """Have docker find its contexts, certificates and plug-ins."""
    with contextlib.suppress(OSError):  # there are none, or this system has no links
        for path in theirs.iterdir():
            if path.name != _FILE:
                (folder / path.name).symlink_to(path.resolve())
