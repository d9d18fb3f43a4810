"""Values of every kind that numpy has, and what can be seen of a value with any numpy.

This module travels to workers by value. So it imports nothing but numpy.
"""

import pathlib
import tempfile
import warnings

import numpy as np


def _memmap():
    file = pathlib.Path(tempfile.mkdtemp()) / "memory"
    mapped = np.memmap(file, "<i2", "w+", shape=(3, 4))
    mapped[:] = np.arange(12).reshape(3, 4)
    return mapped


def _read_only(array):
    array.flags.writeable = False
    return array


def _used(generator):
    """Return a generator that is in the middle of its numbers."""
    generator.random(3)
    return generator


def _random_state():
    state = np.random.RandomState(5)
    state.standard_normal()  # which keeps a second one
    return state


def _sequence():
    sequence = np.random.SeedSequence(7)
    sequence.spawn(2)
    return sequence


def _structured():
    array = np.zeros(3, [("a", ">i4"), ("b", "f8", (2, 2)), ("c", "U5")])
    array["a"], array["b"], array["c"] = 1, 2.5, "żółć"
    return array


def _object():
    return np.array([1, "a", [2], {"k": np.arange(3)}, None], dtype=object)


def _axis_error():
    try:
        np.arange(3).sum(axis=5)
    except ValueError as error:
        return error.with_traceback(None)


KINDS = {
    "AxisError": _axis_error,
    "plain": lambda: np.arange(6.0).reshape(2, 3),
    "Fortran": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "transposed": lambda: np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    "strided": lambda: np.arange(100)[::7],
    "reversed": lambda: np.arange(10)[::-1],
    "broadcast": lambda: np.broadcast_to(np.arange(3), (4, 3)),
    "read-only": lambda: _read_only(np.arange(3)),
    "read-only, strided": lambda: _read_only(np.arange(9)[::3]),
    "big-endian": lambda: np.arange(5, dtype=">f4"),
    "big-endian, strided": lambda: np.arange(10, dtype=">u2")[::2],
    "0-dimensional": lambda: np.array(5.5),
    "zero-size": lambda: np.empty((5, 0), "f4"),
    "zero-size items": lambda: np.zeros(3, "S0"),
    "large": lambda: np.arange(150_000.0).reshape(300, 500),
    "unaligned": lambda: np.frombuffer(b"x" + np.arange(4.0).tobytes(), "f8", offset=1),
    "bool": lambda: np.array([True, False]),
    "half": lambda: np.array([1.5, np.inf], "f2"),
    "long double": lambda: np.array([1, 2], np.longdouble),
    "complex": lambda: np.array([1 + 2j]),
    "bytes": lambda: np.array([b"a", b"bcd"]),
    "text": lambda: np.array(["a", "ünï\U0001f30d"]),
    "void": lambda: np.array([b"ab\0c"], "V4"),
    "datetime": lambda: np.array(["2020-01-01", "NaT"], "M8[ns]"),
    "timedelta, big-endian": lambda: np.array([1, 2], ">m8[D]")[::-1],
    "structured": _structured,
    "aligned structure": lambda: np.zeros(2, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
    "object": _object,
    "read-only object": lambda: _read_only(_object()),
    "ragged": lambda: np.array([np.arange(3), np.arange(4)], dtype=object),
    "masked": lambda: np.ma.array([1.5, 2, 3], mask=[0, 1, 0], fill_value=-7),
    "masked, big-endian": lambda: np.ma.array(np.arange(3, dtype=">i2"), mask=[0, 1, 0]),
    "masked, hard": lambda: np.ma.array([1, 2], mask=[0, 1], hard_mask=True),
    "masked, no mask": lambda: np.ma.array([1, 2, 3]),
    "masked objects": lambda: np.ma.array([1, None, "x"], mask=[0, 1, 0], dtype=object),
    "masked structure": lambda: np.ma.array(
        np.zeros(2, [("a", "i4"), ("b", "f4")]), mask=[(0, 1), (1, 0)]
    ),
    "masked constant": lambda: np.ma.masked,
    "memmap": _memmap,
    "matrix": lambda: np.matrix([[1, 2]]),
    "recarray": lambda: np.rec.array([(1, 2.0, "x")], names="a,b,c"),
    "recarray of objects": lambda: np.rec.array([(1, None)], dtype=[("a", "i4"), ("b", "O")]),
    "chararray": lambda: np.char.array(["a", "b"]),
    "scalars": lambda: [
        np.float32(1.25),
        np.int64(7),
        np.bool_(1),
        np.str_("x"),
        np.bytes_(b"x"),
    ],
    "scalar dates": lambda: [np.datetime64("2020-01-01T00:00:01"), np.timedelta64(3, "D")],
    "structured scalar": lambda: _structured()[0],
    "dtypes": lambda: [np.dtype(">f4"), np.dtype("M8[ms]"), _structured().dtype, np.dtype(object)],
    "types": lambda: [np.bool_, np.float32, np.longdouble, np.ndarray, np.ma.MaskedArray],
    "functions": lambda: [np.add, np.mean, np.logical_and, np.linalg.norm],
    "polynomial": lambda: np.poly1d([1, 2, 3]),
    "RandomState": _random_state,
    "seed sequence": _sequence,
    "PCG64": lambda: _used(np.random.default_rng(1)),
    "MT19937": lambda: _used(np.random.Generator(np.random.MT19937(2))),
    "Philox": lambda: _used(np.random.Generator(np.random.Philox(3))),
    "SFC64": lambda: _used(np.random.Generator(np.random.SFC64(4))),
    "PCG64DXSM": lambda: _used(np.random.Generator(np.random.PCG64DXSM(5))),
    "a bit generator": lambda: np.random.PCG64(6),
    "LinAlgError": lambda: np.linalg.LinAlgError("singular"),
}


def look(value):  # noqa: C901, PLR0911 - one case for each kind
    """Return all that counts of a value, in plain Python."""
    if value is np.ma.masked:
        return "masked"
    if isinstance(value, list):
        return [look(item) for item in value]
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        seen = (look(value.data), mask.tolist(), value.hardmask, look(value.fill_value))
        return ("masked array", value.flags.writeable, *seen)
    if isinstance(value, np.ndarray):
        return _look_at_array(value)
    if isinstance(value, np.generic):
        return (look(type(value)), look(value.dtype), value.tobytes())
    if isinstance(value, np.dtype):
        return (value.str, str(value.descr), value.itemsize, value.isalignedstruct, value.kind)
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return (type(value).__name__, value.random(4).tolist(), value.normal(size=3).tolist())
    if isinstance(value, np.random.SeedSequence):
        return (value.state, value.generate_state(3).tolist(), value.spawn(1)[0].spawn_key)
    if isinstance(value, np.random.BitGenerator):
        return (type(value).__name__, value.random_raw(4).tolist())
    if isinstance(value, np.poly1d):
        return ("poly1d", value.coeffs.tolist())
    if isinstance(value, BaseException):
        return (type(value).__name__, str(value))
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value).str  # the names of some have changed
    return getattr(value, "__name__", "") or str(value)


def _look_at_array(array):
    if array.dtype.hasobject and not array.dtype.names:
        content = [
            look(item) if isinstance(item, np.ndarray) else repr(item) for item in array.flat
        ]
    else:
        content = array.tobytes()
    if array.dtype.hasobject and array.dtype.names:
        content = str(array.tolist())
    return (
        type(array).__name__,
        look(array.dtype),
        array.shape,
        array.flags.writeable,
        array.ndim > 1 and array.flags.f_contiguous,
        content,
    )


def make(name):
    """Return a value of a kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy does not recommend its matrix
        return KINDS[name]()
