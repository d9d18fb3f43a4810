"""The import hook that makes RIOS know this package; it must cost next to nothing, and never break ``import rios``.

The wheel carries a copy of this module beside the package, and a ``.pth`` file that calls `install` when the
interpreter starts; importing the package does so too, for where no ``.pth`` is read. When RIOS imports the module that
holds the base class of its managers, ours are loaded. ``RIOS_AWSBATCH_AUTOLOAD=0`` turns it off.
"""

import os
import sys

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

# Module of RIOS's -> the entry-point group to load when it has been imported.
GROUPS = {
    "rios.parallel.jobmanager": "rios.jobmanagers",
    "rios.computemanager": "rios.computeworkers",
}
# RIOS 1.4's own manager, which scripts import, and which would be found in the place of ours.
REPLACED = "rios.parallel.aws.batch"


class RiosFinder:
    """Finds what all other finders find, and sees to it that ours is loaded after it."""

    @staticmethod
    def find_spec(
        name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "Any":
        """Return the spec of one of RIOS's modules, with a loader that calls `loaded` afterwards."""
        if (name not in GROUPS and name != REPLACED) or not _wanted():
            return None
        for finder in sys.meta_path:
            if finder is not RiosFinder and hasattr(finder, "find_spec"):
                spec: Any = finder.find_spec(name, path, target)
                if spec is not None:
                    spec.loader = spec.loader and _Loader(spec.loader)
                    return spec
        return None


class _Loader:
    """A module's own loader, and `loaded` after it."""

    def __init__(self, loader: "Any") -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: "ModuleType") -> None:
        self._loader.exec_module(module)
        loaded(module)


def loaded(module: "ModuleType") -> None:
    """Load our managers for one of RIOS's modules that has been imported; warn if that fails."""
    try:
        from rios_plugin_awsbatch.hosts import registry  # noqa: PLC0415 - costs time at every start of the interpreter

        if module.__name__ == REPLACED:
            registry.replace_own_manager(module)
        else:
            registry.load_plugins(GROUPS[module.__name__])
    except Exception as error:  # noqa: BLE001 - a broken plugin must not break RIOS
        import warnings  # noqa: PLC0415 - costs time at every start of the interpreter

        warnings.warn(
            f"rios-plugin-awsbatch could not be loaded for {module.__name__}: {error}", stacklevel=2
        )


def install() -> None:
    """Install the hook, once, and load our managers for those of RIOS's modules that are there already."""
    if installed():
        return
    sys.meta_path.insert(0, RiosFinder)
    present = [name for name in (*GROUPS, REPLACED) if name in sys.modules]
    if present and _wanted():
        for name in present:
            loaded(sys.modules[name])


def installed() -> bool:
    """Say whether the hook is installed, by this module or by the copy beside the package."""
    return any(
        getattr(finder, "__qualname__", "") == RiosFinder.__qualname__ for finder in sys.meta_path
    )


def _wanted() -> bool:
    return os.environ.get("RIOS_AWSBATCH_AUTOLOAD") != "0"
