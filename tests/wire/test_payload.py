"""Objects to bytes and back; damaged bytes are refused before they are unpickled."""

import base64
import fnmatch
import functools
import operator
import os
import pickle
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rios_plugin_awsbatch.errors import PayloadError, PicklingError
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Payload, RunKey
from rios_plugin_awsbatch.wire.queue import MessageQueue
from rios_plugin_awsbatch.wire.store import PayloadStore

RUN = "20260801T120000-0badcafe"
ROOM = 1000

compressions = st.sampled_from(["none", "zlib"])
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
DTYPES = [
    "?",
    "b",
    "<u2",
    ">u2",
    "<i8",
    ">f4",
    "f2",
    "f8",
    "c16",
    "S5",
    "U3",
    "M8[ns]",
    "m8[D]",
    "V7",
    [("red", "<u2"), ("name", "S3"), ("grid", ">f4", (2, 3))],
]
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@st.composite
def arrays(draw):
    """Arrays of any type, shape, order, stride and offset, some of them read-only."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(shapes)
    count = int(np.prod(shape, dtype=int))
    seed = np.random.default_rng(draw(st.integers(0, 1000)))
    raw = seed.integers(0, 2 if dtype.kind == "b" else 100, count * dtype.itemsize, dtype=np.uint8)
    if dtype.kind == "U":
        raw = seed.integers(65, 90, count * dtype.itemsize // 4, dtype=np.uint32).view(np.uint8)
    array = np.frombuffer(raw.tobytes(), dtype, count).reshape(shape).copy()
    view = draw(st.sampled_from(["C", "F", "transposed", "strided", "reversed", "broadcast"]))
    if view == "F":
        array = np.asfortranarray(array)
    elif view == "transposed":
        array = array.T
    elif view == "strided" and array.ndim:
        array = array[::2]
    elif view == "reversed" and array.ndim:
        array = array[..., ::-1]
    elif view == "broadcast":
        array = np.broadcast_to(array, (2, *array.shape))
    if draw(st.booleans()) and view != "broadcast":
        array.flags.writeable = False
    return array


def travelled(value, compression="none"):
    return payload.loads(payload.dumps(value, "A value", compression=compression))


@pytest.fixture
def exchange(cloud):
    """One side's verbs, over S3."""
    queue = MessageQueue(cloud.sqs, "nowhere")
    store = PayloadStore(cloud.s3, cloud.bucket, f"runs/{RUN}/")
    yield Exchange(queue, queue, store, RunKey(RUN, "00" * 32), ROOM)
    store.clear()


@given(plain, compressions)
def test_values_come_back_equal(value, compression):
    """What Python can compare comes back equal, compressed or not."""
    assert travelled(value, compression) == value


@given(arrays(), compressions)
def test_arrays_come_back_equal(array, compression):
    """Every dtype, byte order, shape and stride survives."""
    back = travelled(array, compression)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@given(arrays(), compressions)
def test_arrays_come_back_as_writable_as_they_were(array, compression):
    """A function may change its input in place if it could at home, whatever view that was."""
    back = travelled(array, compression)
    assert back.flags.writeable == array.flags.writeable


@given(st.lists(arrays(), max_size=5), compressions)
def test_arrays_share_no_memory_with_what_they_came_from(several, compression):
    """Each unpickling makes arrays of its own: changing them changes nothing else."""
    data = payload.dumps(several, "A list", compression=compression)
    before = bytes(data)
    first, second = payload.loads(data), payload.loads(data)
    for array, other in zip(first, second, strict=True):
        assert not np.shares_memory(array, other)
        assert not np.shares_memory(array, np.frombuffer(data, np.uint8))
        if array.flags.writeable:
            array[...] = np.frombuffer(bytes(array.dtype.itemsize), array.dtype)[0]
    assert data == before


def test_a_large_array_is_neither_copied_into_the_pickle_nor_misaligned():
    """Arrays ride behind the pickle as they are, at multiples of 64 bytes."""
    array = np.arange(100_000, dtype="f8")
    data = payload.dumps({"a": array, "b": array[::2]}, "Two arrays")
    assert array.nbytes * 1.5 <= len(data) < array.nbytes * 1.5 + 2000
    for back in travelled([b"x", array, b"yz", array[:3]])[1::2]:
        assert back.ctypes.data % 16 == 0


def test_an_array_that_is_there_twice_comes_back_as_one():
    """Identity within one value is kept, as pickle does."""
    array = np.arange(5)
    one, two = travelled((array, array))
    one[0] = 99
    assert two[0] == 99


def test_bytes_and_bytearrays_and_memory_come_back():
    """Objects other than arrays that pickle out of band survive as well."""
    one, two = travelled((bytearray(b"abc" * 1000), pickle.PickleBuffer(bytearray(b"abc"))))
    assert one == bytearray(b"abc" * 1000)
    assert bytes(two) == b"abc"


def test_compression_makes_what_can_be_smaller_smaller():
    """With zlib, an array of zeros takes a fraction of its bytes."""
    zeros = np.zeros(1_000_000, np.uint8)
    assert len(payload.dumps(zeros, "Zeros", compression="zlib")) < zeros.nbytes / 50


def test_functions_of_a_script_travel_by_value():
    """A closure, a lambda and a partial work where their module is not."""
    offset = 5

    def add(number):
        return number + offset

    assert travelled(add)(1) == 6
    assert travelled(lambda: np.ones(3))().sum() == 3
    assert travelled(functools.partial(add, 2))() == 7


def test_cached_functions_of_a_script_travel_by_value():
    """Also one that calls itself, and a method; what they remember does not travel."""

    @functools.lru_cache(maxsize=7, typed=True)
    def fibonacci(number):
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    class Table:
        @functools.cache  # noqa: B019 - as scripts have it
        def at(self, number):
            return number * 2

    table = Table()
    assert (fibonacci(9), table.at(2)) == (34, 4)
    copy, table_copy = travelled((fibonacci, table))
    assert copy.cache_info() == (0, 0, 7, 0)
    assert copy.cache_parameters() == {"maxsize": 7, "typed": True}
    assert (copy(20), table_copy.at(3)) == (6765, 6)
    assert copy.cache_info().currsize == 7


def test_cached_functions_of_installed_modules_travel_by_name():
    """They are the module's own, with what it remembers."""
    assert travelled(fnmatch._compile_pattern) is fnmatch._compile_pattern


@given(st.data(), compressions)
def test_a_payload_that_was_cut_off_is_refused(data, compression):
    """A truncated payload is refused even without its MAC; no array lacks its end."""
    whole = payload.dumps([np.arange(50), "text"], "A list", compression=compression)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(PayloadError):
        payload.loads(whole[:length])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_payload_are_refused(data):
    """Bytes of another origin are a PayloadError, which says how many they are."""
    with pytest.raises(PayloadError, match=f"{len(data)} bytes"):
        payload.loads(data)


@pytest.mark.parametrize("size", [0, 1, ROOM, ROOM + 1, 100_000])
def test_a_payload_goes_inline_or_into_the_store(exchange, size):
    """Up to the limit it rides in the message, above it goes to the bucket; both come back."""
    data = os.urandom(size)
    packed = exchange.pack(data, "name")
    assert (packed.inline is not None) == (size <= ROOM)
    assert (packed.key is not None) == (size > ROOM)
    assert packed.size_inline == (size if size <= ROOM else 0)
    assert exchange.unpack(packed) == data


@pytest.mark.parametrize("size", [300, 5000])
def test_a_payload_with_any_bit_flipped_is_refused(exchange, size):
    """Whichever bit is damaged on the way, the payload is refused and not unpickled."""
    data = payload.dumps(np.arange(size, dtype=np.uint8), "An array")
    packed = exchange.pack(data, "name")
    places = range(8 * len(data)) if size < ROOM else range(0, 8 * len(data), 997)
    for place in places:
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        if packed.inline is not None:
            packed = packed.model_copy(update={"inline": base64.b64encode(damaged).decode()})
        else:
            exchange.store.put("name", bytes(damaged))
        with pytest.raises(PayloadError, match=f"run {RUN} is damaged or forged"):
            exchange.unpack(packed)


@pytest.mark.parametrize("size", [300, 5000])
def test_a_payload_that_was_truncated_or_extended_is_refused(exchange, size):
    """Bytes that are missing at the end, or too many, are as good as damaged ones."""
    data = os.urandom(size)
    packed = exchange.pack(data, "name")
    for other in (b"", data[:-1], data[: size // 2], data + b"\0", data + data):
        if packed.inline is not None:
            changed = packed.model_copy(update={"inline": base64.b64encode(other).decode()})
        else:
            changed = packed
            exchange.store.put("name", other)
        with pytest.raises(PayloadError, match=f"{len(other)} of {size} bytes"):
            exchange.unpack(changed)


def test_a_payload_swapped_with_another_of_its_run_is_refused(exchange):
    """An object under another one's key does not have the content that the message names."""
    one, two = exchange.pack(os.urandom(2000), "one"), exchange.pack(os.urandom(2000), "two")
    exchange.store.put("one", exchange.store.get(two.key))
    with pytest.raises(PayloadError, match="damaged or forged"):
        exchange.unpack(one)
    assert len(exchange.unpack(two)) == 2000


def test_a_payload_of_another_run_is_refused(exchange):
    """The same bytes under another run's key are a forgery."""
    data = b"bytes"
    with pytest.raises(PayloadError, match="damaged or forged"):
        exchange.unpack(
            Payload(
                mac=RunKey("other", "00" * 32).mac(data),
                size=5,
                inline=base64.b64encode(data).decode(),
            )
        )


@pytest.mark.parametrize("inline", ["YWJ", "YW Jj", "äöü", "YWJj\n", "====", "YWJj" * 2])
def test_inline_bytes_that_are_no_base64_are_refused(exchange, inline):
    """Text that is no Base64, or not of the bytes that were signed, is a PayloadError."""
    packed = exchange.pack(b"abc", "name").model_copy(update={"inline": inline})
    with pytest.raises(PayloadError):
        exchange.unpack(packed)


def test_a_payload_that_is_not_in_the_bucket_any_more_is_named(exchange):
    """An object that is gone is a PayloadError with its key, the bucket and the likely cause."""
    packed = exchange.pack(os.urandom(2000), "name")
    exchange.store.clear()
    with pytest.raises(
        PayloadError,
        match=rf"{packed.key} is no longer in bucket {exchange.store.bucket}.*lifecycle rule",
    ):
        exchange.unpack(packed)


@pytest.mark.parametrize("key", ["secrets", "runs/other/name", "runs/name", ""])
def test_a_payload_outside_the_runs_prefix_is_refused(exchange, key):
    """A message cannot make anybody read what is not the run's."""
    with pytest.raises(PayloadError, match=f"outside runs/{RUN}/"):
        exchange.unpack(Payload(mac="a" * 64, size=1, key=key))


def test_a_payload_that_is_nowhere_is_refused(exchange):
    """A message that carries no bytes and names no object is refused."""
    with pytest.raises(PayloadError, match="neither in its message nor in the bucket"):
        exchange.unpack(Payload(mac="a" * 64, size=1))


@pytest.mark.parametrize(
    "make",
    [threading.Lock, lambda: (n for n in "generator"), socket.socket, lambda: [operator, _Bad()]],
)
def test_what_cannot_be_pickled_is_named_with_the_reason(make):
    """The error says what of the user's it was, and what pickle has against it."""
    value = make()
    with pytest.raises(
        PicklingError, match=r"^An argument of block 3,4 cannot be pickled: \w+: "
    ) as caught:
        payload.dumps(value, "An argument of block 3,4")
    assert caught.value.__cause__ is not None


class _Bad:
    def __reduce__(self):
        raise ValueError("I do not like to be pickled")


def test_something_too_deep_to_pickle_is_named():
    """A RecursionError while pickling is a PicklingError like any other."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(PicklingError, match="A tower cannot be pickled"):
        payload.dumps(deep, "A tower")
    while deep:  # taking it apart at once would be as deep
        deep = deep.pop()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (len, "len"),
        (functools.partial(functools.partial(len), b""), "len"),
        (np.mean, "numpy.mean"),
        (operator.itemgetter(1), "an object of type itemgetter"),
        (Path.exists, "pathlib.Path.exists"),
    ],
)
def test_a_function_is_described_by_the_name_its_user_knows(function, name):
    """Errors and log lines name a function as its user wrote it."""
    assert payload.describe(function) == name
