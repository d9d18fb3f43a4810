"""`Activation`: makes this process use an embedded AWS, through its environment, for a while."""

import os
import threading
from collections.abc import Mapping

from .environment import adapted

__all__ = ["Activation"]

_changing = threading.Lock()  # guards the environment's variables, and all that activations hold
_active: "list[Activation]" = []  # the last one is in force


class Activation:
    """A time within which this process, and those that it starts, use an embedded AWS.

    The environment belongs to the whole process, so all of its threads use the AWS that was
    activated last. Activations may end in any order: when the last of them ends, the environment is
    as it was before the first, and meanwhile it never leads to an AWS that is not embedded.

    Args:
        environment: The variables that lead to the embedded AWS.
        exact: Whether the end also takes back what others have changed in the environment.
    """

    def __init__(self, environment: Mapping[str, str], *, exact: bool = False) -> None:
        self._environment = environment
        self._exact = exact
        self._former: dict[str, str | None] = {}  # what it has changed, with the values before

    def begin(self) -> None:
        """Use the embedded AWS from now on."""
        with _changing:
            before = dict(os.environ)
            after = adapted(before, self._environment)
            names = before.keys() | after.keys()
            self._former = {
                name: before.get(name)
                for name in names
                if self._exact or before.get(name) != after.get(name)
            }
            _set({name: after.get(name) for name in names})
            _active.append(self)

    def end(self) -> None:
        """Restore what was before, unless another activation has followed; that one then does."""
        with _changing:
            place = _active.index(self)
            del _active[place]
            if place < len(_active):
                _active[place].inherit(self._former)
                return
            if self._exact:
                self._former = {**dict.fromkeys(os.environ), **self._former}
            _set(self._former)

    def inherit(self, former: Mapping[str, str | None]) -> None:
        """Restore what an earlier activation would have restored; the caller holds the lock."""
        self._former |= former


def _set(values: Mapping[str, str | None]) -> None:
    """Set variables, and unset those without a value; the caller holds the lock."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
