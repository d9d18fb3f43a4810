"""Images that are not like main, as job definitions for real workers; nothing of main changes."""

import contextlib
import os
import sys
import uuid
from pathlib import Path

WORKER = str(Path(sys.executable).with_name("rios-awsbatch-worker"))
SITE = """
import platform

python = {python!r}
if python:
    platform.python_version = lambda: python
    platform.python_version_tuple = lambda: tuple(python.split("."))
"""


@contextlib.contextmanager
def defined(cloud, image="rios:latest", environment=None, **container):
    """Register a job definition, with the rights of the stack's workers; yield its name."""
    name = f"riosJobDefinition-{uuid.uuid4().hex}"
    variables = [{"name": one, "value": value} for one, value in (environment or {}).items()]
    properties = {
        "image": image,
        **cloud.rights,
        "vcpus": 1,
        "memory": 100,
        "environment": variables,
        "linuxParameters": {"initProcessEnabled": True},  # as the stack's definitions
        **container,
    }
    cloud.batch.register_job_definition(
        jobDefinitionName=name, type="container", containerProperties=properties
    )
    yield name
    cloud.batch.deregister_job_definition(jobDefinition=f"{name}:1")


class Image:
    """What Python finds in a container before anything else, in a folder.

    Args:
        folder: An empty one.
        python: The version that Python says it has; its own if empty.
    """

    def __init__(self, folder, python=""):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._site = SITE.format(python=python)
        self.add_code("")

    @property
    def environment(self):
        """The variables of a container in which Python finds it."""
        # A container runs in another folder.
        inherited = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        path = [self.folder.absolute(), *(Path(entry).absolute() for entry in inherited)]
        return {"PYTHONPATH": os.pathsep.join(map(str, path))}

    def add_code(self, code):
        """Have code run at the start of each Python."""
        self._site += f"\n{code}\n"
        (self.folder / "sitecustomize.py").write_text(self._site)
        return self

    def add_distribution(self, name, version):
        """Say that a distribution is installed; what is imported stays the same."""
        metadata = self.folder / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        return self

    def add_module(self, name, source):
        """Have a module found before the one that is installed."""
        package = self.folder / name
        package.mkdir()
        (package / "__init__.py").write_text(source)
        return self
