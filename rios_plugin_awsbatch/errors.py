"""What can go wrong. Every message says what failed, on which thing, and what to do."""

from typing import Literal

__all__ = [
    "AWSBatchException",
    "ImageError",
    "LackingError",
    "MessageError",
    "ModulesError",
    "PayloadError",
    "PicklingError",
    "RemoteError",
    "SettingsError",
    "StackError",
    "SubmissionError",
    "TaskLostError",
    "UnreadableError",
    "VersionMismatchError",
    "WorkerTraceback",
    "WorkersError",
]


class AWSBatchException(Exception):  # noqa: N818 - the name that scripts written for RIOS's module catch
    """The root of every error that this package raises itself."""


class SettingsError(AWSBatchException):
    """A setting has a value that cannot be used; the message names its environment variable."""


class StackError(AWSBatchException):
    """The CloudFormation stack cannot be reached, is not there, or lacks what a run needs."""


class ImageError(AWSBatchException):
    """An image cannot be built, tagged or pushed."""


class SubmissionError(AWSBatchException):
    """A main job cannot be submitted or found, or its files cannot be sent, fetched or verified."""


class ModulesError(AWSBatchException):
    """A module of the user's own cannot travel to the workers, or not be imported there."""


class MessageError(AWSBatchException):
    """A message is malformed, truncated, forged, or belongs to another run."""


class PayloadError(AWSBatchException):
    """The bytes of a payload are damaged, forged, or missing from the bucket."""


class LackingError(AWSBatchException):
    """A pickle names something that this process does not have.

    Attributes:
        kind: ``module`` if there is no such module, ``name`` if the module lacks something, and
            ``import`` if the module cannot be imported.
        missing: The module, or the name with its module.
        reason: Python's own words.
        version: The version of the library here; None if it is not known.
        library: The name of the library.
    """

    def __init__(
        self,
        kind: Literal["module", "name", "import"],
        missing: str,
        reason: str,
        version: str | None,
    ) -> None:
        super().__init__(kind, missing, reason, version)
        self.kind = kind
        self.missing = missing
        self.reason = reason
        self.version = version
        self.library = missing.partition(".")[0]

    def __str__(self) -> str:
        known = f" ({self.library} {self.version})" if self.version else ""
        return f"`{self.missing}` is needed to unpickle, and is not here{known}: {self.reason}"


class PicklingError(AWSBatchException):
    """A function, an argument or a result cannot be pickled; the message names it."""


class VersionMismatchError(MessageError):
    """Main and worker run versions that cannot exchange messages or pickles."""


class UnreadableError(VersionMismatchError):
    """A message is authentic, but of another version of this package."""


class WorkersError(AWSBatchException):
    """Batch could not start workers, or all of them have ended while tasks were waiting."""


class TaskLostError(AWSBatchException):
    """A task ended the worker that computed it as often as it may; the message names the task."""


class RemoteError(AWSBatchException):
    """An exception in the user's function that cannot be unpickled; the message has its text."""


class WorkerTraceback(Exception):  # noqa: N818 - never raised, only the cause of what is
    """The worker's traceback, as text; the ``__cause__`` of an exception that came from a worker.

    The same device as in ``concurrent.futures.process`` (CPython).
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'
