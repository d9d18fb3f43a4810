"""How the commands and the repository's scripts end: with one sentence for a user's mistake."""

import contextlib
import sys
from collections.abc import Iterator

import click

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.programs import errors_as_sentences

__all__ = ["INTERRUPTED", "presented_errors"]

INTERRUPTED = 130  # as a shell has it: 128 and the number of SIGINT


@contextlib.contextmanager
def presented_errors(program: str) -> Iterator[None]:
    """End the program with one sentence for a user's mistake; a bug keeps its traceback.

    Args:
        program: The program's name, which begins the sentence.

    Raises:
        SystemExit: With the exit status.
    """
    with errors_as_sentences(program):
        try:
            yield
        except click.exceptions.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except Exception as error:
            explained = _explained(error)
            if explained is None:
                raise
            raise explained from error


def _explained(error: Exception) -> AWSBatchException | None:
    """Return the sentence for an error of boto3's that a command has not explained itself."""
    if "botocore" not in sys.modules:  # without it, there is none
        return None
    from rios_plugin_awsbatch.aws.errors import (  # noqa: PLC0415 - `--help` imports no boto3
        AWS_ERRORS,
        sentence_for,
    )

    if not isinstance(error, AWS_ERRORS):
        return None
    sentence = sentence_for(error)
    return AWSBatchException(sentence[0].upper() + sentence[1:])
