"""What the console scripts have in common: logging, exit statuses, and errors as one sentence."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from .errors import AWSBatchException

__all__ = ["configure_logging", "errors_as_sentences", "exit_status"]


def configure_logging(level: int | str, *, with_time: bool = True) -> None:
    """Log to standard error, from `level` on; botocore logs warnings only.

    Args:
        level: A level of `logging`, as a number or a name.
        with_time: Whether each line begins with the time.
    """
    time = "%(asctime)s " if with_time else ""
    logging.basicConfig(level=level, format=f"{time}%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # Its warning about credentials that cannot be refreshed has a traceback; the error that follows
    # is told as a sentence.
    logging.getLogger("botocore.credentials").setLevel(logging.ERROR)


def exit_status(returncode: int) -> int:
    """Return the exit status of a process as a shell reports it: 128 and the number of a signal.

    Args:
        returncode: As `subprocess` has it, negative after a signal.
    """
    return returncode if returncode >= 0 else 128 - returncode


@contextlib.contextmanager
def errors_as_sentences(program: str) -> Iterator[None]:
    """End the program with one sentence for an error that this package explains.

    Anything else is a bug and keeps its traceback. So does an error with a cause when debug
    messages are logged.

    Args:
        program: The program's name, which begins the sentence.

    Raises:
        SystemExit: With the sentence, so that the exit status is 1.
    """
    try:
        yield
    except AWSBatchException as error:
        if error.__cause__ is not None and logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        sys.exit(f"{program}: {error}")
