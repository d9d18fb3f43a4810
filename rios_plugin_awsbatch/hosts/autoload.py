"""The import hook through which RIOS finds this package.

It puts a finder at the head of ``sys.meta_path``. When RIOS imports the module that defines the
base class of its managers, ours are loaded right after it. ``RIOS_AWSBATCH_AUTOLOAD=0`` turns this
off.

The wheel installs this file beside the package, as ``_rios_plugin_awsbatch_autoload``, with a
``.pth`` file that calls `install` when the interpreter starts. Importing the package calls
`install` too, for environments that ignore ``.pth`` files. So this module may exist twice, and
every Python start pays for it: it imports next to nothing, and an error of ours must never break
``import rios``.
"""

# ruff: noqa: PLC0415 - every Python start would pay for an import at the top

import os
import sys

TYPE_CHECKING = False  # importing it from typing would cost time at every Python start
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

# RIOS's module -> the entry-point group to load after it.
GROUPS = {
    "rios.parallel.jobmanager": "rios.jobmanagers",
    "rios.computemanager": "rios.computeworkers",
}
# RIOS 1.4's own AWS Batch manager: scripts import it, and RIOS would then prefer it to ours.
REPLACED = "rios.parallel.aws.batch"


class RiosFinder:
    """Finds RIOS's modules through the other finders, and has `loaded` called after each."""

    @staticmethod
    def find_spec(
        name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "Any":
        """Return the spec of one of RIOS's modules, with our loader; None for any other module."""
        if (name not in GROUPS and name != REPLACED) or not _enabled():
            return None
        for finder in sys.meta_path:
            if finder is not RiosFinder and hasattr(finder, "find_spec"):
                spec: Any = finder.find_spec(name, path, target)
                if spec is not None:
                    spec.loader = spec.loader and _Loader(spec.loader)
                    return spec
        return None


class _Loader:
    """Wraps a module's own loader, and calls `loaded` after it."""

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
    """Load our managers for a module of RIOS that has just been imported; warn if that fails.

    In a worker, which starts no workers, load ones that refuse: the real ones take half a second.
    """
    try:
        from rios_plugin_awsbatch.nesting import in_worker

        if in_worker():
            from rios_plugin_awsbatch.hosts.refusing import refuse_managers

            refuse_managers(module)
        elif module.__name__ == REPLACED:
            from rios_plugin_awsbatch.hosts.rios1 import replace_rios_manager

            replace_rios_manager(module)
        else:
            from rios_plugin_awsbatch.hosts.registry import load_plugins

            load_plugins(GROUPS[module.__name__])
    except Exception as error:  # noqa: BLE001 - a broken plugin must not break RIOS
        import warnings

        warnings.warn(
            f"rios-plugin-awsbatch could not be loaded for {module.__name__}: {error}", stacklevel=2
        )


def installed() -> bool:
    """Return whether the hook is in place, by whichever copy of this module."""
    name = RiosFinder.__qualname__
    return any(getattr(finder, "__qualname__", "") == name for finder in sys.meta_path)


def install() -> None:
    """Install the hook once; load our managers now for RIOS modules that are imported already."""
    if installed():
        return
    sys.meta_path.insert(0, RiosFinder)
    present = [name for name in (*GROUPS, REPLACED) if name in sys.modules]
    if present and _enabled():
        for name in present:
            loaded(sys.modules[name])


def _enabled() -> bool:
    return os.environ.get("RIOS_AWSBATCH_AUTOLOAD") != "0"
