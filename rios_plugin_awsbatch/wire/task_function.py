"""A function of ours that is told about its task, and takes care of its arguments itself.

A worker calls a user's function with arguments that it has unpickled for that call. A
`TaskFunction` may keep what it has unpickled from one task of its own to the next, may have its
task computed twice, and may return contents that many tasks have in common.
"""

import abc
import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

__all__ = ["TaskContext", "TaskFunction", "content_name"]


@dataclasses.dataclass(frozen=True)
class TaskContext:
    """What a `TaskFunction` is told about its task.

    Attributes:
        shared: The pickled shared arguments, a pair (positional, keyword), if there are any.
        arguments: Unpickles the task's own positional arguments, anew with each call.
        attempt: The number of this attempt at the task, from 1.
        add_content: Has bytes stored for main, once for all tasks of this worker that add them;
            returns their name. `Run.content` gives them back.
    """

    shared: bytes | None
    arguments: Callable[[], tuple[Any, ...]]
    attempt: int
    add_content: Callable[[bytes], str]


class TaskFunction(abc.ABC):
    """A callable for `Run.submit` whose instances stay in a worker from task to task."""

    @abc.abstractmethod
    def compute(self, context: TaskContext) -> Any:
        """Return the result of a task."""


def content_name(data: bytes) -> str:
    """Return the name of a content: the same for equal bytes, and for no others."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()
