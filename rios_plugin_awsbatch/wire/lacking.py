"""What one side lacks of what a pickle names: the error in one sentence, with both versions."""

from typing import Final, Literal

from rios_plugin_awsbatch.errors import LackingError

from .versions import library_version

__all__ = ["lacking_in_main", "lacking_in_worker"]

_SCRIPT: Final = ("__main__", "__mp_main__")
Explained = ImportError | AttributeError


def lacking_in_worker(error: LackingError, task: str) -> Explained:
    """Return main's error for a task that a worker could not unpickle; call it in main."""
    if error.library in _SCRIPT:
        return _explained(
            error,
            f"{task} cannot be unpickled in a worker: it has an object that says it is "
            f"`{error.missing}`, and workers do not have the main script. Make the object within "
            "the function, or define it in a module that is installed in the workers' image.",
        )
    remedy = (
        "If the module is yours, define the function in the script itself, or install the module "
        "in the workers' image"
        if error.kind == "module"
        else f"Install the same version of {error.library} in the workers' image and here"
    )
    theirs = _known("main", error.library, library_version(error.library))
    return _explained(
        error,
        f"{task} cannot be unpickled in a worker: {_lack(error, 'worker')}; {theirs}. {remedy}.",
    )


def lacking_in_main(error: LackingError, task: str, version: str | None) -> Explained:
    """Return the error for a result that main cannot unpickle; call it in main.

    Args:
        error: What main lacks.
        task: The task's name.
        version: The worker's version of the library, if it is known.
    """
    remedy = (
        "Install it here, or have the function return arrays and plain Python values"
        if error.kind == "module"
        else f"Install the same version of {error.library} here and in the workers' image"
    )
    theirs = _known("the worker", error.library, version)
    return _explained(
        error,
        f"The result of {task} cannot be unpickled here: {_lack(error, 'main')}; {theirs}. "
        f"{remedy}.",
    )


def _lack(error: LackingError, side: Literal["main", "worker"]) -> str:
    who = "main" if side == "main" else "the worker"
    if error.kind == "module":
        return f"{who} has no module `{error.missing}`"
    if error.kind == "name":
        version = f" {error.version}" if error.version else ""
        return f"{who}'s {error.library}{version} has no `{error.missing}`"
    return f"{who} cannot import `{error.missing}` ({error.reason})"


def _known(who: str, library: str, version: str | None) -> str:
    return (
        f"{who} has {library} {version}"
        if version
        else f"the version of {library} in {who} is not known"
    )


def _explained(error: LackingError, sentence: str) -> Explained:
    if error.kind == "module":
        return ModuleNotFoundError(sentence, name=error.missing)
    return AttributeError(sentence) if error.kind == "name" else ImportError(sentence)
