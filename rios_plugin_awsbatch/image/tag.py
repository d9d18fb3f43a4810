"""The tag that names what is in an image: ``python -m rios_plugin_awsbatch.imagetag``, as the build's last step."""

import importlib
import platform

from rios_plugin_awsbatch._version import __version__

__all__ = ["image_tag"]


def image_tag() -> str:
    """Return the tag: the versions of Python, GDAL, RIOS and this package."""
    # By name, because neither is a dependency of this package: here it says what an image has.
    gdal = importlib.import_module("osgeo.gdal").__version__
    rios = importlib.import_module("rios").RIOS_VERSION
    # A tag has letters, digits, dots, hyphens and underscores only; a local version has a plus.
    return f"py{platform.python_version()}-gdal{gdal}-rios{rios}-awsbatch{__version__}".replace(
        "+", "_"
    )


if __name__ == "__main__":
    print(image_tag())  # noqa: T201 - the Dockerfile's last step keeps it
