"""numpy's arrays and random generators, pickled so that every version of numpy reads them.

numpy's own pickles name numpy's private modules, and call functions whose arguments change from
version to version. Ours name the functions below. What is in an array rides out of band, whatever
its order, strides or class; dtype and writeability come back as they were.

Arrays of objects, and subclasses that are not numpy's own, are pickled by themselves;
`unpickling` finds what those pickles name.
"""

import contextlib
import functools
import importlib
import pickle
import sys
from collections.abc import Callable
from typing import Any, Final, Literal

__all__ = [
    "rebuild_array",
    "rebuild_bit_generator",
    "rebuild_generator",
    "rebuild_masked",
    "rebuild_random_state",
    "rebuild_seed_sequence",
    "rebuild_structure",
    "rebuild_view",
    "reducers",
    "set_array_state",
]

# numpy's built-in types; others, StringDType for instance, may keep their items elsewhere.
_BUILTIN_TYPES: Final = 24
# Where classes of arrays are, from numpy 2 on and before.
_MODULES_OF_VIEWS: Final = (
    "numpy",
    "numpy._core.records",
    "numpy._core.defchararray",
    "numpy.core.records",
    "numpy.core.defchararray",
)
_KINDS_OF_BUFFERS: Final = "?biufc"
# What is seeded here gets another state at once, so it need not ask the system for randomness.
_ANY_SEED: Final = 0


def reducers() -> dict[type, Callable[[Any], Any]]:
    """Return how to pickle numpy's objects, by type, as far as numpy is loaded."""
    loaded = frozenset(name for name in _REDUCERS if _is_loaded(f"numpy{name}"))
    return _found(loaded) if "" in loaded else {}


def _is_loaded(name: str) -> bool:
    module = sys.modules.get(name)
    # Another thread may just be importing it.
    return module is not None and not getattr(module.__spec__, "_initializing", False)


@functools.lru_cache
def _found(loaded: frozenset[str]) -> dict[type, Callable[[Any], Any]]:
    found: dict[type, Callable[[Any], Any]] = {
        type(sys.modules["numpy"].dtype("V")): _reduce_structure
    }
    for module in loaded:
        # Not by `getattr`: numpy 2 warns of what it has under its old name.
        present = vars(sys.modules[f"numpy{module}"])
        found.update(
            {present[name]: to for name, to in _REDUCERS[module].items() if name in present}
        )
    return found


def rebuild_array(memory: Any, dtype: Any, shape: tuple[int, ...], order: Literal["C", "F"]) -> Any:
    """Return an array over `memory`, as writable as that is."""
    import numpy as np  # noqa: PLC0415 - a worker loads it when a task needs it

    return np.ndarray(shape, dtype, memory, order=order)


def rebuild_view(name: str, array: Any) -> Any:
    """Return `array` as one of numpy's own classes of arrays, by its name."""
    for module in _MODULES_OF_VIEWS:
        with contextlib.suppress(ImportError):
            kind = vars(importlib.import_module(module)).get(name)
            if kind is not None:
                return array.view(kind)
    raise TypeError(f"numpy has no {name} here.")


def rebuild_masked(data: Any, mask: Any, fill_value: Any, hard: bool) -> Any:  # noqa: FBT001 - pickles pass arguments by position
    """Return a masked array over `data` and `mask`; without a mask, `mask` is None."""
    import numpy as np  # noqa: PLC0415 - as above

    masked: Any = np.ma.MaskedArray(  # type: ignore[no-untyped-call]  # numpy has no types for it
        data, np.ma.nomask if mask is None else mask, hard_mask=hard
    )
    masked._fill_value = fill_value  # noqa: SLF001 - else it would be checked against the dtype
    return masked


def rebuild_structure(fields: dict[str, Any], kind: Any, metadata: Any) -> Any:
    """Return an aligned structured dtype."""
    import numpy as np  # noqa: PLC0415 - as above

    dtype = np.dtype(fields, align=True, **({"metadata": metadata} if metadata else {}))  # type: ignore[call-overload]
    return dtype if kind is np.void else np.dtype((kind, dtype))


def set_array_state(array: Any, state: Any) -> None:
    """Give an array that numpy has rebuilt its content, and protect it."""
    array.__setstate__(state)
    array.flags.writeable = False


def rebuild_seed_sequence(
    entropy: Any, spawn_key: tuple[int, ...], pool_size: int, spawned: int
) -> Any:
    """Return a seed sequence that goes on as the pickled one would have."""
    import numpy as np  # noqa: PLC0415 - as above

    return np.random.SeedSequence(
        entropy, spawn_key=spawn_key, pool_size=pool_size, n_children_spawned=spawned
    )


def rebuild_bit_generator(name: str, state: Any, seeds: Any) -> Any:
    """Return one of numpy's bit generators in this state."""
    import numpy as np  # noqa: PLC0415 - as above

    generator = getattr(np.random, name)(_ANY_SEED if seeds is None else seeds)
    generator.state = state
    return generator


def rebuild_generator(bit_generator: Any) -> Any:
    """Return a generator that draws from `bit_generator`."""
    import numpy as np  # noqa: PLC0415 - as above

    return np.random.Generator(bit_generator)


def rebuild_random_state(bit_generator: Any, state: Any) -> Any:
    """Return a generator of the older kind, in this state."""
    import numpy as np  # noqa: PLC0415 - as above

    generator = np.random.RandomState(bit_generator)
    generator.set_state(state)
    return generator


def _reduce_array(array: Any) -> Any:
    dtype = array.dtype
    if dtype.hasobject or not dtype.itemsize or not 0 <= dtype.num < _BUILTIN_TYPES:
        reduced = array.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        if array.flags.writeable or not dtype.hasobject:
            return reduced
        make, arguments, state = reduced
        return make, arguments, state, None, None, set_array_state
    flags = array.flags
    if flags.c_contiguous:
        order, lines = "C", array
    elif flags.f_contiguous:
        order, lines = "F", array.T
    else:
        order, lines = "C", array.copy("C")
        lines.flags.writeable = flags.writeable
    if dtype.kind not in _KINDS_OF_BUFFERS:
        # As bytes: buffers cannot tell dates, and not all structures.
        lines = lines.reshape(-1).view("u1")
    return rebuild_array, (pickle.PickleBuffer(lines), dtype, array.shape, order)


def _reduce_structure(dtype: Any) -> Any:
    if not dtype.isalignedstruct or dtype.names is None:
        return dtype.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    # numpy 1 does not read the flags of an aligned structure that numpy 2 has written, nor
    # numpy 2 those of numpy 1.
    fields = [dtype.fields[name] for name in dtype.names]
    description = {
        "names": list(dtype.names),
        "formats": [field[0] for field in fields],
        "offsets": [field[1] for field in fields],
        "titles": [field[2] if len(field) > 2 else None for field in fields],  # noqa: PLR2004 - dtype, offset, title
        "itemsize": dtype.itemsize,
    }
    metadata = None if dtype.metadata is None else dict(dtype.metadata)
    return rebuild_structure, (description, dtype.type, metadata)


def _reduce_view(array: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - as above

    if array.dtype.hasobject:  # it may contain itself
        return array.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    return rebuild_view, (type(array).__name__, np.ndarray.view(array, np.ndarray))


def _reduce_masked(array: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - as above

    mask = None if array.mask is np.ma.nomask else array.mask
    return rebuild_masked, (array.data, mask, array._fill_value, array.hardmask)  # noqa: SLF001 - the public one is never None


def _reduce_seed_sequence(seeds: Any) -> Any:
    return rebuild_seed_sequence, (
        seeds.entropy,
        seeds.spawn_key,
        seeds.pool_size,
        seeds.n_children_spawned,
    )


def _reduce_bit_generator(generator: Any) -> Any:
    # Before numpy 1.25, `seed_seq` had no public name.
    seeds = generator._seed_seq  # noqa: SLF001
    return rebuild_bit_generator, (type(generator).__name__, generator.state, seeds)


def _reduce_generator(generator: Any) -> Any:
    return rebuild_generator, (generator.bit_generator,)


def _reduce_random_state(generator: Any) -> Any:
    state = generator.get_state(legacy=False)
    return rebuild_random_state, (generator._bit_generator, state)  # noqa: SLF001 - it has no other name


# Numpy 2 loads some of these modules only when they are used.
_REDUCERS: Final[dict[str, dict[str, Callable[[Any], Any]]]] = {
    "": {"ndarray": _reduce_array, "matrix": _reduce_view, "memmap": _reduce_view},
    **{key: {"recarray": _reduce_view} for key in (".core.records", "._core.records")},
    **{key: {"chararray": _reduce_view} for key in (".core.defchararray", "._core.defchararray")},
    ".ma": {"MaskedArray": _reduce_masked},
    ".random": {
        "Generator": _reduce_generator,
        "RandomState": _reduce_random_state,
        "SeedSequence": _reduce_seed_sequence,
        **dict.fromkeys(
            ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"), _reduce_bit_generator
        ),
    },
}
