"""The raster job of `rios-awsbatch demo`: an index of a scene. It needs GDAL, but not RIOS."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .job import run_demo as run_demo

__all__ = ["run_demo"]  # noqa: F822, RUF100 - loaded on first use, as workers load `demo.indices`


def __getattr__(name: str) -> Any:
    """Load `run_demo`."""
    if name in __all__:
        return getattr(importlib.import_module(".job", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
