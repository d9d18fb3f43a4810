"""RIOS 2's otherArgs in a worker: each task's copy, and what the task has changed.

Sums are exact because a task counts from main's values, and returns its own contribution: what a
task that ran twice has contributed is taken once. But a function may load something large when it
is first called in a worker::

    if otherargs.model is None:
        otherargs.model = load()

So a worker carries over what a task has changed, if any of that is large, to its next tasks. What
changes again there is no model but a sum, and is not carried over. To find out, the worker computes
the task again at once: first with everything carried over, then with all but the sums. Unless that
gives the same outputs and the same sums as before, the function needs main's values of everything,
and nothing is carried over. If something that was carried over changes later, the task is computed
again from main's values, which is always right, and the rest is tried anew.

What is carried over is not returned again. So an accepted result may rely on what its worker has
returned with an earlier one. If two workers have computed the same task, main has taken the result
of one of them. Therefore only the first attempt at a task carries over: any other result returns
everything, so whichever main takes, nothing is missing.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rios_plugin_awsbatch.records import collected_blocks, note_blocks
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.task_function import content_name

from .rios2_otherargs import Change, Names, OtherArgs, pickled_values

__all__ = ["ComputedTask", "OtherArgsKeeper", "Timings", "changes_of"]

LARGE_BYTES: Final = 64 * 1024
INLINE_BYTES: Final = 64 * 1024  # a larger content is stored
# A task as long as this is computed a third time only if loading takes this share of its time.
LONG_SECONDS: Final = 5.0
WORTHWHILE: Final = 0.05

# The intervals of RIOS's ``Timers``, by name: begin and end as Unix times.
Timings: TypeAlias = dict[str, list[tuple[float, float]]]
# Computes a task with its copy of the otherArgs; returns its outputs.
Compute: TypeAlias = Callable[[Any], tuple[list[Any], Timings]]


@dataclasses.dataclass(frozen=True)
class ComputedTask:
    """What a task has computed.

    Attributes:
        outputs: For each block, RIOS's object of output arrays.
        timings: How long it took.
        changed: The contents of the parts of the otherArgs that it has changed.
    """

    outputs: list[Any]
    timings: Timings
    changed: Mapping[Names, bytes]


class OtherArgsKeeper:
    """Gives the tasks of one ``apply`` their otherArgs, in the one thread that computes.

    Args:
        given: What main has sent.
        passes: An error of ours, which says nothing about the function.
    """

    def __init__(self, given: OtherArgs, passes: type[Exception]) -> None:
        self._given = given
        self._passes = passes
        self._main = {part.names: _Snapshot(part.data) for part in given.parts}
        self._carried: dict[Names, _Snapshot] = {}
        self._summed: set[Names] = set()  # what is never carried over
        self._may_carry = True

    def run(self, compute: Compute, *, first_attempt: bool) -> ComputedTask:
        """Compute a task.

        Args:
            compute: May be called more than once.
            first_attempt: Whether nobody has attempted the task before.

        Raises:
            PicklingError: What the task has changed cannot be pickled.
            Exception: What `compute` raises.
        """
        if not first_attempt:
            return self._run_from(self._main, compute)
        begun = time.perf_counter()
        computed = self._run_with_carried(compute)
        if computed is None:  # from main's values it is right, whatever the function does
            computed = self._run_from(self._main, compute)
        with collected_blocks():  # those of the task have been collected
            self._carry_over(computed, time.perf_counter() - begun, compute)
        return computed

    def _run_with_carried(self, compute: Compute) -> ComputedTask | None:
        """Compute a task with what is carried over; None if there is nothing, or that was wrong."""
        if not self._carried:
            return None
        with collected_blocks() as blocks:
            computed = self._tried(self._carried, compute)
        if computed is not None:
            again = computed.changed.keys() & self._carried.keys()
            if not again:
                note_blocks(blocks)
                return computed
            self._summed |= again
        self._carried = {}
        return None

    def _tried(self, carried: Mapping[Names, "_Snapshot"], compute: Compute) -> ComputedTask | None:
        """Compute a task with something carried over; None if that fails."""
        try:
            return self._run_from({**self._main, **carried}, compute)
        except self._passes:
            raise
        except Exception:  # noqa: BLE001 - the function's; it may be right without
            self._may_carry = False
            self._carried = {}
            return None

    def _carry_over(self, computed: ComputedTask, seconds: float, compute: Compute) -> None:
        """Keep what a task has changed for the next, if it may have loaded something large.

        Args:
            computed: What the task has computed.
            seconds: How long that took.
            compute: Computes it again.
        """
        while self._may_carry and (carried := self._to_carry(computed.changed)):
            begun = time.perf_counter()
            try:
                again = self._tried(carried, compute)
            except self._passes:  # the next task tries it
                return
            if again is None:
                return
            sums = again.changed.keys() & carried.keys()
            self._summed |= sums
            if sums & self._carried.keys():  # what the task began with was not right for the trial
                self._carried = {}
                return
            saved = seconds - (time.perf_counter() - begun)
            if not sums or (seconds > LONG_SECONDS and saved < WORTHWHILE * seconds):
                self._may_carry = not sums and self._is_same(computed, again)
                self._carried = carried if self._may_carry else {}
                return

    def _to_carry(self, changed: Mapping[Names, bytes]) -> dict[Names, "_Snapshot"]:
        """Return all that would be carried over; nothing if nothing large is new."""
        news = {names: data for names, data in changed.items() if names not in self._summed}
        if not any(len(data) >= LARGE_BYTES for data in news.values()):
            return {}
        return {**self._carried, **{names: _Snapshot(data) for names, data in news.items()}}

    def _is_same(self, computed: ComputedTask, again: ComputedTask) -> bool:
        """Return whether a task has come out the same, but for what is carried over."""
        sums = {names: data for names, data in computed.changed.items() if names in self._summed}
        what = "The outputs of a block"
        same = payload.digest(again.outputs, what) == payload.digest(computed.outputs, what)
        return same and again.changed == sums

    def _run_from(self, start: Mapping[Names, "_Snapshot"], compute: Compute) -> ComputedTask:
        values: dict[str, Any] = {}
        for snapshot in start.values():
            values.update(snapshot.take())
        other = self._given.assembled(values)
        outputs, timings = compute(other)
        after = self._given.values(other)
        known = {name for names in start for name in names}
        changed: dict[Names, bytes] = {
            (name,): pickled_values(after, (name,)) for name in after if name not in known
        }
        for names, snapshot in start.items():
            if not snapshot.take_back({name: after[name] for name in names if name in after}):
                changed[names] = pickled_values(after, names)
        return ComputedTask(outputs, timings, changed)


class _Snapshot:
    """The content of a part, and values with just this content that a task has left behind."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._compared = data
        self._values: dict[str, Any] | None = None

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
