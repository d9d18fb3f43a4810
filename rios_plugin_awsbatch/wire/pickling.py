"""Objects to pickles: cloudpickle's pickler, and what it lacks for us."""

import io
import pickle
import types
from collections.abc import Callable
from typing import Any, Final

import cloudpickle

from . import arrays, by_name, files
from .unpickling import import_if_possible

__all__ = ["Pickler"]

_SUBMODULES: Final = "_cloudpickle_submodules"
_NO_FILE: Final = "<dynamic-code>"  # cloudpickle 3.1.3 writes this in place of a file's name


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    """Reduce code as cloudpickle does, but keep the file's name, which tracebacks show."""
    make, arguments = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return make, tuple(
        code.co_filename if isinstance(argument, str) and argument == _NO_FILE else argument
        for argument in arguments
    )


class _UsedModule:
    """A submodule that a function may use, to be imported before it is called."""

    def __init__(self, module: types.ModuleType) -> None:
        self._name = module.__name__

    def __reduce__(self) -> tuple[Any, ...]:
        return import_if_possible, (self._name,)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    """cloudpickle's, with the names of files in code, and with our ways to treat some objects.

    Open files (`files`), numpy's arrays (`arrays`), objects that pickle by name (`by_name`).

    Args:
        stream: Takes the pickle.
        take_buffer: Takes each buffer that rides beside it.

    Attributes:
        kinds: The types of all objects that are no plain ones.
    """

    def __init__(
        self, stream: io.BytesIO, take_buffer: Callable[[pickle.PickleBuffer], Any]
    ) -> None:
        table: dict[type, Any] = {}
        # A plain one: most objects are in none of its parts, and a ChainMap looks into each.
        for part in reversed(cloudpickle.Pickler.dispatch_table.maps):
            table.update(part)
        table[types.CodeType] = _reduce_code
        table.update(files.reducers())
        table.update(arrays.reducers())
        table.update(by_name.REDUCERS)
        self.dispatch_table = table
        super().__init__(stream, protocol=5, buffer_callback=take_buffer)
        self.kinds: set[type] = set()

    def _dynamic_function_reduce(self, function: types.FunctionType) -> tuple[Any, ...]:
        reduction: tuple[Any, ...] = super()._dynamic_function_reduce(function)
        _, slots = reduction[2]
        # cloudpickle adds the modules whose names it finds in the code. A function that uses
        # `np.linalg` would need numpy 1's `numpy.linalg.linalg`, which it does not know.
        slots[_SUBMODULES] = [_UsedModule(module) for module in slots.get(_SUBMODULES, ())]
        return reduction

    def reducer_override(self, value: Any) -> Any:
        """Return how to pickle an object; `NotImplemented` if that is nothing special."""
        self.kinds.add(type(value))
        reduction = super().reducer_override(value)
        return (
            by_name.reduced(value, self.dispatch_table)
            if reduction is NotImplemented
            else reduction
        )
