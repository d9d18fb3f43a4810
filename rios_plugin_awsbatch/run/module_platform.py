"""What was compiled for other machines than the workers' does not travel."""

import functools
import logging
import platform
import sys
from collections.abc import Iterable
from typing import Final

__all__ = ["is_foreign", "tell_foreign"]

log = logging.getLogger(__name__)

_WORKERS_SYSTEM: Final = "linux"
_COMPILED: Final = (".so", ".pyd", ".dylib")
# The names that systems have for the architectures of a stack.
_ARCHITECTURES: Final = {"amd64": "x86_64", "aarch64": "arm64"}


def is_foreign(files: Iterable[str], architecture: str) -> bool:
    """Return whether there are files that were compiled here, and workers cannot load them.

    Args:
        files: Their names.
        architecture: That of the workers' machines, ``x86_64`` or ``arm64``; empty if not known.
    """
    same = sys.platform == _WORKERS_SYSTEM and architecture in ("", _architecture_here())
    return not same and any(name.endswith(_COMPILED) for name in files)


@functools.cache  # once is enough
def tell_foreign(name: str) -> None:
    """Say that a module stays here because of that."""
    log.warning(
        "module %s has parts that were compiled for %s on %s, so it does not travel to the "
        "workers: install it in their image",
        name,
        sys.platform,
        _architecture_here(),
    )


def _architecture_here() -> str:
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)
