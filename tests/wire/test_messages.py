"""What is sent is received, and anything else is refused before it is read."""

import os
import pickle
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rios_plugin_awsbatch.errors import AWSBatchException, MessageError
from rios_plugin_awsbatch.records import BlockRecord, Measured, Versions
from rios_plugin_awsbatch.wire.messages import (
    WIRE_VERSION,
    Failure,
    Measures,
    Payload,
    Result,
    RunKey,
    Stop,
    Task,
    WorkerNotice,
    decode,
    encode,
    peek_run,
)

RUN = "20260801T120000-0badcafe"
KEY = RunKey(RUN, "00" * 32)
INLINE = Payload(mac="a" * 64, size=3, inline="YWJj")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
numbers = st.integers(0, 2**53)
macs = st.text("0123456789abcdef", min_size=64, max_size=64)
payloads = st.builds(
    Payload, mac=macs, size=numbers, inline=st.none() | texts, key=st.none() | texts
)
tasks = st.builds(
    Task,
    task=numbers,
    name=texts,
    python=texts,
    cloudpickle=numbers,
    function=payloads,
    shared=st.none() | payloads,
    arguments=payloads,
)
times = st.floats(0, 1e12)
block_texts = st.text(max_size=200)
blocks = st.builds(BlockRecord, name=block_texts, begun=times, seconds=times)
measures = st.builds(
    Measures,
    attempt=numbers,
    bytes_in=numbers,
    bytes_out=numbers,
    measured=st.builds(
        Measured,
        begun=times,
        seconds=times,
        blocks=numbers,
        block_records=st.lists(blocks, max_size=3).map(tuple),
    ),
)
results = st.builds(
    Result, task=numbers, worker=texts, requests=numbers, measures=measures, payload=payloads
)
failures = st.builds(
    Failure,
    task=numbers,
    worker=texts,
    requests=numbers,
    measures=measures,
    reason=st.sampled_from(["raised", "lost", "refused"]),
    error=texts,
    text=texts,
    traceback=texts,
    versions=texts,
    exception=st.none() | payloads,
)
notices = st.builds(
    WorkerNotice,
    worker=texts,
    event=st.sampled_from(["ready", "gone", "failed", "unfit"]),
    requests=numbers,
    detail=texts,
    versions=st.none()
    | st.builds(
        Versions,
        python=texts,
        package=texts,
        cloudpickle=texts,
        numpy=st.none() | texts,
        gdal=st.none() | texts,
        rios=st.none() | texts,
    ),
)
messages = st.one_of(tasks, st.just(Stop()), results, failures, notices)
run_ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)


def signed(body, key=KEY, version=WIRE_VERSION):
    """Return a message with any body whatever, under a valid MAC."""
    return f"{version}.{key.run}.{key.mac(body.encode())}.{body}"


def refused(text, key=KEY):
    """Return the error with which a text is refused."""
    with pytest.raises(MessageError) as caught:
        decode(text, key)
    return str(caught.value)


@given(messages)
def test_a_message_comes_back_as_it_was_sent(message):
    """Decoding what was encoded gives an equal message of the same kind."""
    assert decode(encode(message, KEY), KEY) == message
    assert type(decode(encode(message, KEY), KEY)) is type(message)


@given(results)
def test_records_of_blocks_take_no_more_room_than_they_say(result):
    """A worker knows how much of a message its measures may fill, whatever names blocks have."""
    bare = result.model_copy(update={"measures": Measures()})
    counted = result.model_copy(
        update={
            "measures": Measures(
                measured=Measured(block_records=result.measures.measured.block_records)
            )
        }
    )
    more = len(encode(counted, KEY)) - len(encode(bare, KEY))
    assert more <= result.measures.blocks_size


@given(messages, run_ids)
def test_a_message_names_its_run_without_the_key(message, run):
    """Whoever finds a message on a queue can say whose it is."""
    assert peek_run(encode(message, RunKey(run, "11" * 32))) == run


@given(messages)
def test_a_message_is_one_line_of_text(message):
    """Whatever its fields hold, a message is one line without control characters."""
    assert all(ord(character) >= 0x20 for character in encode(message, KEY))


def test_a_message_holds_only_characters_that_sqs_takes():
    """SQS takes the characters of XML 1.0; a field may hold any, and comes back as it was."""
    name = "".join(
        map(
            chr,
            [*range(0x20), *range(0xD7F0, 0xD800), *range(0xE000, 0xE010), *range(0xFFF0, 0x10010)],
        )
    )
    task = Task(task=1, name=name, python="3.11", cloudpickle=3, function=INLINE, arguments=INLINE)
    text = encode(task, KEY)
    assert {c for c in text if c < " "} | ({"\ufffe", "\uffff"} & set(text)) == set()
    assert decode(text, KEY).name == name


def test_a_file_name_that_is_no_text_can_be_reported():
    """Python's stand-ins for undecodable bytes, which JSON cannot hold, are spelt out."""
    text = "No such file: " + os.fsdecode(b"caf\xe9.tif")
    failure = Failure(
        task=1, worker="w", reason="raised", error="FileNotFoundError", text=text, traceback=text
    )
    assert decode(encode(failure, KEY), KEY).text == "No such file: caf\\udce9.tif"


@given(st.text())
def test_any_other_text_is_refused(text):
    """A text that is no message of the run's is refused by a sentence that names the run."""
    assert RUN in refused(text)
    assert peek_run(text) is None


@given(messages, st.data())
def test_a_message_cut_off_anywhere_is_refused(message, data):
    """No beginning of a message passes for a message."""
    text = encode(message, KEY)
    length = data.draw(st.integers(0, len(text) - 1))
    refused(text[:length])


def test_a_task_cut_off_at_every_place_is_refused():
    """The same at each place of one message, none left to chance."""
    text = encode(
        Task(
            task=7,
            name="block 1,2",
            python="3.11",
            cloudpickle=3,
            function=INLINE,
            arguments=INLINE,
        ),
        KEY,
    )
    for length in range(len(text)):
        refused(text[:length])
    assert decode(text, KEY).task == 7


@given(messages, st.data())
def test_a_message_with_one_other_character_is_refused(message, data):
    """Every character of a message is authenticated, or part of the header's fixed form."""
    text = encode(message, KEY)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != text[place]))
    refused(text[:place] + other + text[place + 1 :])


@given(messages, st.text(min_size=1))
def test_a_message_with_something_behind_it_is_refused(message, more):
    """Nothing can be appended to a message."""
    refused(encode(message, KEY) + more)


@given(messages, run_ids.filter(lambda run: run != RUN))
def test_a_message_of_another_run_is_refused_by_both_names(message, run):
    """A foreign message differs from a damaged one: the sentence names both runs."""
    sentence = refused(encode(message, RunKey(run, "00" * 32)))
    assert f"run {run} " in sentence
    assert f"run {RUN}" in sentence
    assert "purge the queue" in sentence


@given(messages, run_ids.filter(lambda run: run != RUN))
def test_a_message_moved_to_another_run_is_refused(message, run):
    """The MAC covers the run's id: another id makes a forgery, even under the same secret."""
    moved = encode(message, RunKey(run, "00" * 32)).replace(f".{run}.", f".{RUN}.", 1)
    assert "forged" in refused(moved)


@given(messages)
def test_a_message_signed_with_another_secret_is_refused(message):
    """Whoever can send to the queue, but does not know the run's secret, cannot make a message."""
    assert "forged" in refused(encode(message, RunKey(RUN, "01" * 32)))


@given(messages, macs)
def test_a_guessed_mac_is_refused(message, mac):
    """A MAC that does not fit is no message."""
    version, run, _, body = encode(message, KEY).split(".", 3)
    assert "forged" in refused(f"{version}.{run}.{mac}.{body}")


@given(results)
def test_the_kind_of_a_message_cannot_be_changed(result):
    """A result cannot be replayed as a task: the MAC covers its kind."""
    version, run, mac, body = encode(result, KEY).split(".", 3)
    assert "forged" in refused(f"{version}.{run}.{mac}.{body.replace('result', 'task', 1)}")
    assert "cannot be read" in refused(signed(body.replace('"kind":"result"', '"kind":"task"')))


@given(messages)
def test_another_wire_version_is_refused_with_the_remedy(message):
    """A message of an older or newer package says that versions differ, not that it is damaged."""
    body = encode(message, KEY).split(".", 3)[3]
    sentence = refused(signed(body, version="rab9"))
    assert "rab9" in sentence
    assert WIRE_VERSION in sentence
    assert "same version of rios-plugin-awsbatch" in sentence


def test_a_ready_worker_of_another_wire_version_tells_its_package():
    """What a newer package adds to its notice does not matter."""
    body = '{"kind":"worker","news":1,"versions":{"python":"3.15.0","package":"9.1.0"}}'
    for version in ("rab9", WIRE_VERSION):
        assert "(rios-plugin-awsbatch 9.1.0)" in refused(signed(body, version=version))


@given(messages, macs)
def test_another_wire_version_counts_only_if_it_is_authentic(message, mac):
    """Whoever can send to the queue cannot make main believe that versions differ."""
    body = encode(message, KEY).split(".", 3)[3]
    assert "forged" in refused(f"rab9.{RUN}.{mac}.{body}")


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"kind":"pickle"}',
        '{"kind":"stop","more":1}',
        '{"kind":"result","task":"7","worker":"w","payload":{"mac":"' + "a" * 64 + '","size":1}}',
        '{"kind":"result","task":7,"worker":"w","payload":{"mac":"short","size":1}}',
        '{"kind":"result","task":7,"worker":"w","payload":{"mac":"' + "a" * 64 + '","size":-1}}',
        '{"kind":"result","task":7,"worker":"w"}',
        '{"kind":"worker","worker":"w","event":"bored"}',
        '{"kind":"stop"',
        '{"kind":"stop"} {"kind":"stop"}',
        '{"kind":"result","task":NaN,"worker":"w"}',
        '{"a":' * 200 + "1" + "}" * 200,
    ],
)
def test_an_authentic_message_of_the_wrong_form_is_refused(body):
    """Fields that are missing, unknown, of another type or out of range are refused."""
    assert f"A message on a queue of run {RUN} cannot be read" in refused(signed(body))


def test_a_message_error_shows_nothing_of_the_contents():
    """The error says which field is wrong, not what it holds: that may be confidential."""
    payload = '{"mac":"x","size":1,"inline":"confidential"}'
    body = f'{{"kind":"result","task":"confidential","worker":"w","payload":{payload}}}'
    sentence = refused(signed(body))
    assert "task" in sentence
    assert "confidential" not in sentence
    assert "\n" not in sentence


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_on_the_queue_is_not_unpickled(tmp_path):
    """Refusing a message runs nothing that it holds."""
    path = tmp_path / "exploded"
    refused(pickle.dumps(_Bomb(str(path)), protocol=0).decode("latin-1"))
    assert not Path(path).exists()


@given(messages)
def test_messages_are_frozen(message):
    """A message does not change between two threads that hold it."""
    with pytest.raises(Exception, match="frozen"):
        message.kind = "other"


def test_a_key_shows_nothing_of_its_secret():
    """A key in a log line or a traceback tells the run, not the secret."""
    secret = RunKey.new_secret()
    key = RunKey(RUN, secret)
    assert secret not in repr(key) + str(key)
    assert RUN in repr(key)
    assert len(bytes.fromhex(secret)) == 32
    assert RunKey.new_secret() != secret


@given(st.binary(), st.binary())
def test_a_mac_belongs_to_its_run_its_secret_and_its_bytes(data, other):
    """The MAC of the same bytes differs between runs and secrets, and verifies nothing else."""
    mac = KEY.mac(data)
    assert KEY.verifies(data, mac)
    assert KEY.verifies(other, mac) == (data == other)
    assert not RunKey("another", "00" * 32).verifies(data, mac)
    assert not RunKey(RUN, "01" * 32).verifies(data, mac)
    assert not KEY.verifies(data, mac.upper() + "é")


def test_a_message_error_is_an_error_of_this_package():
    """Scripts that catch RIOS's AWSBatchException catch this as well."""
    assert issubclass(MessageError, AWSBatchException)
