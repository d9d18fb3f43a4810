"""numpy's values: what arrives is what was sent, and pickles of any numpy are understood."""

import pickle
import warnings

import numpy as np
import pytest

from rios_plugin_awsbatch.errors import LackingError
from rios_plugin_awsbatch.wire import payload, unpickling
from tests.matrix import kinds


def travelled(value):
    return payload.loads(payload.dumps(value, "A value"))


@pytest.mark.parametrize("name", kinds.KINDS)
def test_a_value_of_every_kind_arrives_as_it_was(name):
    """Content, dtype, byte order, order in memory, writeability and class."""
    assert kinds.look(travelled(kinds.make(name))) == kinds.look(kinds.make(name))


@pytest.mark.parametrize("name", kinds.KINDS)
def test_a_pickle_names_nothing_that_numpy_has_renamed(name):
    """What is private in numpy is named only by objects that numpy alone can rebuild."""
    value = kinds.make(name)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject and value.dtype.itemsize:
        assert b"core" not in bytes(payload.dumps(np.ndarray.view(value, np.ndarray), "An array"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")),
        (("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")),
        (("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer")),
        (("numpy.core._multiarray_umath", "add"), ("numpy._core._multiarray_umath", "add")),
        (("numpy", "bool_"), ("numpy", "bool")),
        (("numpy", "recarray"), ("numpy.rec", "recarray")),
        (("numpy", "chararray"), ("numpy.char", "chararray")),
        (("numpy", "AxisError"), ("numpy.exceptions", "AxisError")),
        (("numpy", "ComplexWarning"), ("numpy.exceptions", "ComplexWarning")),
        (("numpy.ma.core", "MaskedArray"), ("numpy.ma", "MaskedArray")),
    ],
)
def test_a_name_of_another_version_of_numpy_is_found_in_silence(old, new):
    """The same object has one name in numpy 1 and another one in numpy 2: both are understood."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [_named(*name) for name in (old, new)]
    assert found[0] is found[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("numpy.core.multiarray", "numpy._core.multiarray"),
        ("numpy.core.numeric", "numpy._core.numeric"),
        ("numpy.rec", "numpy.rec"),
        ("numpy.char", "numpy.char"),
        ("numpy.linalg", "numpy.linalg"),
        ("numpy", "numpy"),
    ],
)
def test_a_module_of_another_version_of_numpy_is_found_in_silence(one, other):
    """Functions refer to modules that they use, `np.rec` for instance; numpy 1 has it elsewhere."""
    rebuild = _named("cloudpickle.cloudpickle", "subimport")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rebuild(one) is rebuild(other)


def test_a_module_that_no_numpy_has_is_named():
    """What cannot be found is an error with the module's name."""
    with pytest.raises(ModuleNotFoundError, match=r"numpy\.nothing"):
        _named("cloudpickle.cloudpickle", "subimport")("numpy.nothing")


def test_classes_of_dtypes_are_found_by_their_names():
    """numpy before 1.25 has no names for them."""
    names = {
        "f8": "Float64DType",
        "u1": "UInt8DType",
        "?": "BoolDType",
        "M8": "DateTime64DType",
        "O": "ObjectDType",
        "S": "BytesDType",
    }
    for dtype, name in names.items():
        assert _named("numpy.dtypes", name) is type(np.dtype(dtype))


def test_something_that_no_numpy_has_is_named_with_the_version():
    """The error has what is missing, and the version that lacks it."""
    with pytest.raises(LackingError, match=r"`numpy\.\w*core\.numeric\.nothing`") as caught:
        _named("numpy.core.numeric", "nothing")
    assert caught.value.version == np.__version__
    assert caught.value.library == "numpy"


def _named(module, name):
    """Return what a payload finds that names an object as another version does."""
    return unpickling.load(memoryview(_reference(module, name)), [])


def _reference(module, name):
    words = b"".join(
        pickle.BINUNICODE + len(word).to_bytes(4, "little") + word.encode()
        for word in (module, name)
    )
    return pickle.PROTO + b"\5" + words + pickle.STACK_GLOBAL + pickle.STOP


def test_a_large_array_is_copied_into_no_pickle_whatever_its_strides():
    """Arrays ride beside the pickle, masked ones and views too."""
    large = np.zeros((1000, 1000))
    for value in (
        large[:, ::2],
        large.T,
        np.ma.array(large, mask=large > 0),
        large.view(np.matrix),
    ):
        pickled = payload._pickled(value, "An array")[0]
        assert pickled.nbytes < 2000


def test_a_generator_keeps_its_seeds_and_what_it_shares():
    """Children of a generator are those that it would have had, and shared state stays shared."""
    generator = np.random.default_rng(7)
    generator.bit_generator._seed_seq.spawn(2)
    there, bits = travelled((generator, generator.bit_generator))
    assert there.bit_generator is bits
    (mine,), (theirs,) = (one.bit_generator._seed_seq.spawn(1) for one in (generator, there))
    assert (mine.entropy, mine.spawn_key) == (theirs.entropy, theirs.spawn_key)
    assert generator.random() == there.random()
