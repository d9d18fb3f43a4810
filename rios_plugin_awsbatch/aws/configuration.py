"""What the user has configured of AWS, read by botocore: errors in it are errors of AWS's kind."""

import contextlib
import os
from collections.abc import Iterator

import botocore.exceptions
import botocore.parsers

__all__ = ["ConfigurationError", "check_files", "read_configuration"]


class ConfigurationError(botocore.exceptions.BotoCoreError):
    """A file or a variable of AWS's has something that botocore cannot use."""

    fmt = "the AWS configuration cannot be used ({error}); correct {places}"


_KNOWN = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    botocore.parsers.ResponseParserError,
)


@contextlib.contextmanager
def read_configuration() -> Iterator[None]:
    """Turn what botocore does not expect of files and variables into an error of AWS's kind.

    botocore raises a plain ValueError for an endpoint that is no URL, an OSError for a token file
    that cannot be read, and an AttributeError for a table of a profile that is none.

    Raises:
        ConfigurationError: Something cannot be used; the sentence names where to look.
    """
    try:
        yield
    except _KNOWN:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise ConfigurationError(error=text, places=_places()) from error


def check_files() -> None:
    """Read the files that there are: botocore takes one that it may not read for an empty one.

    Raises:
        OSError: A file cannot be read.
    """
    for name in _files():
        path = os.path.expanduser(name)  # noqa: PTH111 - Path knows no user without a home
        if os.path.exists(path):  # noqa: PTH110 - as above
            open(path, "rb").close()  # noqa: PTH123 - as above


def _files() -> tuple[str, str]:
    return (
        os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
    )


def _places() -> str:
    """Return where the configuration is: the variables that are set, and the files."""
    hidden = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    names = sorted(name for name in os.environ if name.startswith("AWS_") and name not in hidden)
    config, credentials = _files()
    return f"{', '.join([*names, config])} or {credentials}"
