"""The tag that tells what is in the image; the build's last step runs this module."""

import importlib
import platform

from rios_plugin_awsbatch._version import __version__

__all__ = ["image_tag"]


def image_tag() -> str:
    """Return a tag made of the versions of Python, GDAL, RIOS and this package."""
    # Not imported as usual: neither is a dependency of this package.
    gdal = importlib.import_module("osgeo.gdal").__version__
    rios = importlib.import_module("rios").RIOS_VERSION
    tag = f"py{platform.python_version()}-gdal{gdal}-rios{rios}-awsbatch{__version__}"
    return tag.replace("+", "_")  # of a local version; a tag may not have it


if __name__ == "__main__":
    print(image_tag())  # noqa: T201 - the Dockerfile redirects it into a file
