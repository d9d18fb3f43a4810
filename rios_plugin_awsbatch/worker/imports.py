"""Says which of main's modules could not be imported, and why."""

import contextlib
import os
import types
from collections.abc import Iterator

from rios_plugin_awsbatch.errors import LackingError, ModulesError

__all__ = ["explained_imports"]


@contextlib.contextmanager
def explained_imports(what: str, folder: str | None) -> Iterator[None]:
    """Turn what a module of main's raises while it is imported into one sentence.

    Args:
        what: The task, for which it is imported.
        folder: Where main's modules are.

    Raises:
        ModulesError: A module could not be imported.
    """
    try:
        yield
    except Exception as error:
        # The import itself may have ended with another error than the unpickling.
        inner = error.__cause__ if isinstance(error, LackingError) else None
        reason = error if inner is None else inner
        module = None if folder is None else _failed_in(reason.__traceback__, folder)
        if module is None:
            raise
        remedy = "A worker has the module and the files of its package, and no other files of main."
        if isinstance(reason, ModuleNotFoundError):
            remedy = "Install that module in the workers' image."
            if str(reason.name).partition(".")[0] == module.partition(".")[0]:
                remedy = (
                    "The worker has the files that main has; if the image has the module, and "
                    "they hide it, set RIOS_AWSBATCH_MODULES=none."
                )
        raise ModulesError(
            f"Module {module} cannot be imported in a worker, for {what}: {type(reason).__name__}: "
            f"{str(reason).rstrip('.')}. {remedy}"
        ) from error


def _failed_in(trace: types.TracebackType | None, folder: str) -> str | None:
    """Return the name of the module of main's whose import an exception has ended."""
    module = None
    while trace is not None:
        frame = trace.tb_frame
        inside = frame.f_code.co_filename.startswith(folder + os.sep)
        if inside and frame.f_code.co_name == "<module>":
            module = str(frame.f_globals.get("__name__"))
        trace = trace.tb_next
    return module
