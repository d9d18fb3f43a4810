"""The messages on the wire: frozen models, JSON both ways, authenticated as a whole.

A message on a queue is one line of text::

    rab2.<run id>.<MAC>.<JSON>

``rab2`` is the version of the wire. The run id stands outside the JSON, so that a message of
another run can be named without that run's key. The MAC (keyed BLAKE2b) covers the run id and every
byte of the JSON. Nothing is parsed, let alone unpickled, before it is known to come from this run.

No other module knows the field names of the wire.
"""

import hashlib
import hmac
import json
import re
import secrets
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.errors import MessageError, UnreadableError, VersionMismatchError
from rios_plugin_awsbatch.records import Measured, Versions

__all__ = [
    "Begun",
    "Failure",
    "Measures",
    "Message",
    "Payload",
    "Result",
    "RunKey",
    "Stop",
    "Task",
    "Withdrawn",
    "WorkerNotice",
    "decode",
    "encode",
    "peek_run",
]

WIRE_VERSION = "rab2"
MAC_BYTES = 32
_BLOCK_BYTES = 100  # of a block's record without its name


class RunKey:
    """The secret of one run. It makes and checks MACs, and is never printed.

    Args:
        run: The run's id.
        secret: 32 random bytes, hexadecimal.
    """

    def __init__(self, run: str, secret: str) -> None:
        self.run = run
        self._secret = bytes.fromhex(secret)

    @staticmethod
    def new_secret() -> str:
        """Return a fresh secret, as hexadecimal digits."""
        return secrets.token_hex(MAC_BYTES)

    def mac(self, data: bytes | bytearray | memoryview) -> str:
        """Return the keyed BLAKE2b of `data` under this run, as hexadecimal digits."""
        keyed = hashlib.blake2b(self.run.encode() + b"\0", key=self._secret, digest_size=MAC_BYTES)
        keyed.update(data)
        return keyed.hexdigest()

    def verifies(self, data: bytes | bytearray | memoryview, mac: str) -> bool:
        """Say whether `mac` is that of `data`, in constant time."""
        return hmac.compare_digest(self.mac(data).encode(), mac.encode())

    def __repr__(self) -> str:
        return f"RunKey(run={self.run!r})"


def _writable(text: Any) -> Any:
    """Spell out lone surrogates, which undecodable file names have and JSON cannot hold."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text


_Text: TypeAlias = Annotated[str, BeforeValidator(_writable)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Payload(_Model):
    """Pickled bytes, or where they are.

    Attributes:
        mac: Their keyed BLAKE2b. It also names the content within the run.
        size: How many bytes there are.
        inline: The bytes in Base64, if they ride in the message.
        key: Their key in the bucket, if they do not.
    """

    mac: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    inline: str | None = None
    key: str | None = None

    @property
    def size_inline(self) -> int:
        """How many of the bytes ride in the message."""
        return 0 if self.inline is None else self.size


class Task(_Model):
    """One call for a worker to make.

    Attributes:
        task: The task's number within the run.
        name: What users call it: a block's place, or the function's name.
        failed: How many attempts at it have failed before this message was sent.
        vanished: How many workers had received it before, and vanished or were told to stop.
        python: Main's Python version, "3.11". Only the same minor version reads pickled code.
        cloudpickle: Main's cloudpickle major version.
        function: The callable. Workers keep it.
        shared: Arguments that many tasks have in common, a pair (positional, keyword). Workers keep
            their bytes, and every task gets its own copy.
        arguments: The task's own arguments, a pair (positional, keyword).
        runtime: What the process that computes needs before it unpickles the others.
    """

    kind: Literal["task"] = "task"
    task: int
    name: _Text
    failed: int = 0
    vanished: int = 0
    python: str
    cloudpickle: int
    function: Payload
    shared: Payload | None = None
    arguments: Payload
    runtime: Payload | None = None


class Stop(_Model):
    """The run is over. The worker that receives this ends."""

    kind: Literal["stop"] = "stop"


class Measures(_Model):
    """What a worker knows of a task that it has computed.

    Attributes:
        attempt: The number of this attempt at the task, by any worker, from 1.
        bytes_in: Bytes of the pickled arguments.
        bytes_out: Bytes of the pickled result; 0 if there is none.
        measured: What it measured; becomes part of the `TaskRecord` as it is.
    """

    attempt: int = 1
    bytes_in: int = 0
    bytes_out: int = 0
    measured: Measured = Measured()

    @property
    def blocks_size(self) -> int:
        """Bytes that the records of blocks take in a message, at most."""
        # JSON may spell a character as two escapes of six bytes.
        return sum(_BLOCK_BYTES + 12 * len(block.name) for block in self.measured.block_records)


class Result(_Model):
    """What a task returned.

    Attributes:
        task: The task's number within the run.
        worker: Who computed it.
        requests: AWS requests that this worker has made so far.
        measures: What the worker measured.
        payload: The pickled value.
        libraries: The worker's versions of the libraries whose objects the value has.
        computing: What the worker computes next; so main learns it at no cost.
    """

    kind: Literal["result"] = "result"
    task: int
    worker: str
    requests: int = 0
    measures: Measures = Measures()
    payload: Payload
    libraries: dict[str, str] = {}
    computing: int | None = None


class Failure(_Model):
    """Why a task returned nothing.

    Attributes:
        task: The task's number within the run.
        worker: Who says so.
        requests: AWS requests that this worker has made so far.
        measures: What the worker measured.
        reason: ``raised``: the user's function raised. ``lost``: the task ended every process that
            computed it. ``refused``: the worker cannot take it (another Python version, a damaged
            payload, a result that cannot be pickled).
        error: The exception's qualified type.
        text: Its message, or the whole sentence for ``lost`` and ``refused``.
        traceback: The worker's formatted traceback.
        versions: Versions of Python and the libraries that matter, for the reader.
        exception: The pickled exception, if it can be pickled.
        computing: As in `Result`.
    """

    kind: Literal["failure"] = "failure"
    task: int
    worker: str
    requests: int = 0
    measures: Measures = Measures()
    reason: Literal["raised", "lost", "refused"]
    error: _Text
    text: _Text
    traceback: _Text = ""
    versions: str = ""
    exception: Payload | None = None
    computing: int | None = None


class WorkerNotice(_Model):
    """A worker says that it is ready, or that it has gone.

    Attributes:
        worker: Who.
        event: ``ready`` before its first receive, ``gone`` with its last words, ``failed`` if it
            could not become ready, ``unfit`` if it cannot read its tasks, and no other one can.
        requests: AWS requests that this worker has made so far.
        detail: The versions of a worker that is ready, for people; or why it has gone.
        versions: What a worker that is ready runs on, as its compute process finds it.
    """

    kind: Literal["worker"] = "worker"
    worker: str
    event: Literal["ready", "gone", "failed", "unfit"]
    requests: int = 0
    detail: _Text = ""
    versions: Versions | None = None


class Begun(_Model):
    """A worker computes a task, and has done so for a while.

    Attributes:
        task: The task's number within the run.
        worker: Who computes it.
        requests: AWS requests that this worker has made so far.
        kept: Whether only this worker has the task, as its message is gone from the queue.
    """

    kind: Literal["begun"] = "begun"
    task: int
    worker: str
    requests: int = 0
    kept: bool = False


class Withdrawn(_Model):
    """Tasks that nobody waits for, as ranges: the first and the last number; in the bucket."""

    kind: Literal["withdrawn"] = "withdrawn"
    ranges: tuple[tuple[int, int], ...]


Message: TypeAlias = Task | Stop | Result | Failure | WorkerNotice | Begun | Withdrawn
_ADAPTER: TypeAdapter[Message] = TypeAdapter(
    Annotated[Message, Field(discriminator="kind")], config=ConfigDict(hide_input_in_errors=True)
)
_REMEDY = (
    f"Install the same version of rios-plugin-awsbatch in main and in the workers' image (here it "
    f"is {__version__}); `rios-awsbatch image build` and `rios-awsbatch image push` do that for "
    "the image."
)
_PACKAGE = re.compile(rb'"package":"([0-9A-Za-z.+!_-]{1,40})"')
_WIRE = re.compile(r"([a-z]+[0-9]+)\.([A-Za-z0-9_-]{1,64})\.([0-9a-f]{64})\.(?=\{)")


def encode(message: Message, key: RunKey) -> str:
    """Return the text of `message` for a queue of the run of `key`."""
    body = message.model_dump_json(exclude_none=True)
    if not body.isascii():  # SQS counts bytes, and does not take every character
        body = json.dumps(json.loads(body), separators=(",", ":"))
    return f"{WIRE_VERSION}.{key.run}.{key.mac(body.encode())}.{body}"


def decode(text: str, key: RunKey) -> Message:
    """Return the message that `text` holds.

    Raises:
        MessageError: It is no message, is damaged or forged, or belongs to another run.
        VersionMismatchError: It is authentic, but of another wire version. For this to be known,
            all versions have the same header and MAC.
        UnreadableError: It is authentic, but of another version of this package.
    """
    header = _WIRE.match(text)
    if header is None:
        raise MessageError(
            f"A message on a queue of run {key.run} does not come from this package "
            f"({len(text)} characters, beginning {text[:24]!r}). Nothing else may send to the "
            "queues of a run."
        )
    version, run, mac = header.groups()
    if run != key.run:
        raise MessageError(
            f"A message of run {run} is on a queue of run {key.run}; one run at a time may own a "
            "queue. Wait for the other run to end, purge the queue, or let each run create its own "
            "queues."
        )
    body = text[header.end() :].encode(errors="surrogatepass")
    if not key.verifies(body, mac):
        raise MessageError(
            f"A message on a queue of run {key.run} is damaged or forged: its MAC does not fit."
        )
    if version != WIRE_VERSION:
        raise VersionMismatchError(
            f"A message on a queue of run {key.run} has wire version {version}{_package_in(body)}, "
            f"and this is {WIRE_VERSION}. {_REMEDY}"
        )
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        # It comes from this run, so main and this worker have different versions.
        problems = "; ".join(
            f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_url=False)
        )
        raise UnreadableError(
            f"A message on a queue of run {key.run}{_package_in(body)} cannot be read: {problems}. "
            f"{_REMEDY}"
        ) from None


def _package_in(body: bytes) -> str:
    """Say which version of this package an authentic message names, if it does."""
    named = _PACKAGE.search(body)
    return f" (rios-plugin-awsbatch {named.group(1).decode()})" if named else ""


def peek_run(text: str) -> str | None:
    """Return the run that `text` claims to belong to, unverified; None if it is no message."""
    header = _WIRE.match(text)
    return header.group(2) if header else None
