"""Steps to take at an end, all of them: one that fails is logged, and the next is taken."""

import contextlib

from rios_plugin_awsbatch.aws.errors import logged

__all__ = ["attempted"]


def attempted(run_id: str, what: str) -> contextlib.AbstractContextManager[None]:
    """Log an error instead of raising it.

    Args:
        run_id: The run's id.
        what: What is attempted, "delete the run's objects" for instance.
    """
    return logged(what, f"run={run_id} ")
