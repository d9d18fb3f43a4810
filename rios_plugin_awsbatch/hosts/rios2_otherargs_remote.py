"""RIOS 2's otherArgs in a worker: each task's copy, and what the task has changed.

Sums are exact because a task counts from main's values, and returns its own contribution: what a
task that ran twice has contributed is taken once. But a function may load something large when it
is first called in a worker::

    if otherargs.model is None:
        otherargs.model = load()

So a worker carries over what a task has changed, if any of that is large, to its next tasks. There
it looks at what changes again. That is no model but a sum, and the worker computes the task once
more, with main's value of it. From then on, it no longer carries that over. A task that fails with
what was carried over is computed once more with main's values of everything.

What is carried over is not returned again. So an accepted result may rely on what its worker has
returned with an earlier one. If two workers have computed the same task, main has taken the result
of one of them. Therefore only the first attempt at a task carries over: any other result returns
everything, so whichever main takes, nothing is missing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.task_function import content_name

from .rios2_otherargs import Change, Names, OtherArgs, pickled_values

__all__ = ["OtherArgsKeeper", "changes_of"]

Value = TypeVar("Value")

LARGE_BYTES: Final = 64 * 1024
INLINE_BYTES: Final = 64 * 1024  # a larger content is stored


class OtherArgsKeeper:
    """Gives the tasks of one ``apply`` their otherArgs, in the one thread that computes.

    Args:
        given: What main has sent.
        add_content: Stores a large content for main, and returns its name.
        passes: An error of ours, which says nothing about the function.
    """

    def __init__(self, given: OtherArgs, passes: type[Exception]) -> None:
        self._given = given
        self._passes = passes
        self._main = {part.names: _Snapshot(part.data) for part in given.parts}
        self._carried: dict[Names, _Snapshot] = {}
        self._summed: set[Names] = set()  # what is never carried over
        self._may_carry = True

    def run(
        self, compute: Callable[[Any], Value], *, first_attempt: bool
    ) -> tuple[Value, dict[Names, bytes]]:
        """Compute a task.

        Args:
            compute: Called with the task's copy of the otherArgs, perhaps more than once.
            first_attempt: Whether nobody has attempted the task before.

        Returns:
            What `compute` returned, and the contents of the parts that the task has changed.

        Raises:
            PicklingError: What the task has changed cannot be pickled.
            Exception: What `compute` raises.
        """
        if not first_attempt:
            return self._run_from(self._main, compute)
        while True:
            start = {**self._main, **self._carried}
            try:
                value, changed = self._run_from(start, compute)
            except Exception as error:
                if not self._carried or isinstance(error, self._passes):
                    raise
                self._may_carry = False
                self._carried.clear()
                continue
            again = changed.keys() & self._carried.keys()
            if not again:
                self._carry_over(changed)
                return value, changed
            self._drop(again)

    def _run_from(
        self, start: Mapping[Names, "_Snapshot"], compute: Callable[[Any], Value]
    ) -> tuple[Value, dict[Names, bytes]]:
        values: dict[str, Any] = {}
        for snapshot in start.values():
            values.update(snapshot.take())
        other = self._given.assembled(values)
        value = compute(other)
        after = self._given.values(other)
        known = {name for names in start for name in names}
        changed: dict[Names, bytes] = {
            (name,): pickled_values(after, (name,)) for name in after if name not in known
        }
        for names, snapshot in start.items():
            if not snapshot.take_back({name: after[name] for name in names if name in after}):
                changed[names] = pickled_values(after, names)
        return value, changed

    def _carry_over(self, changed: Mapping[Names, bytes]) -> None:
        """Keep what a task has changed for the next, if it may have loaded something large."""
        news = {names: data for names, data in changed.items() if names not in self._summed}
        if self._may_carry and any(len(data) >= LARGE_BYTES for data in news.values()):
            self._carried.update((names, _Snapshot(data)) for names, data in news.items())

    def _drop(self, summed: set[Names]) -> None:
        """Carry these over no longer."""
        self._summed |= summed
        for names in summed:
            del self._carried[names]
        if not any(snapshot.large for snapshot in self._carried.values()):
            self._carried.clear()


class _Snapshot:
    """The content of a part, and values with just this content that a task has left behind."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._compared = data
        self._values: dict[str, Any] | None = None

    @property
    def large(self) -> bool:
        """Whether it is large."""
        return len(self._data) >= LARGE_BYTES

    def take(self) -> dict[str, Any]:
        """Return values for a task, which may change them."""
        values, self._values = self._values, None
        if values is None:
            values = payload.loads(self._data)
            # What was unpickled may be pickled in another way, with other references inside.
            if not payload.matches(values, self._compared):
                self._compared = payload.dumps(values, "otherArgs")
        return values

    def take_back(self, values: dict[str, Any]) -> bool:
        """Keep values for the next task if they have not changed; say whether that is so."""
        if not payload.matches(values, self._compared):
            return False
        self._values = values
        return True


def changes_of(
    changed: Mapping[Names, bytes], add_content: Callable[[bytes], str]
) -> tuple[Change, ...]:
    """Return changes as they travel; large contents are added to those that are stored."""
    return tuple(
        Change(names, content_name(data), data)
        if len(data) <= INLINE_BYTES
        else Change(names, add_content(data), None)
        for names, data in changed.items()
    )
