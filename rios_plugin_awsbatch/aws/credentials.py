"""The credentials of the clients of one process: looked up again when they are no good any more.

botocore looks them up once in a session: a login, a token or a key that is renewed while the
session lives would never be seen.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from .configuration import read_configuration
from .errors import is_endpoint_hiccup
from .patience import Patience

__all__ = ["RenewableCredentials"]

# The endpoint of a container or a machine refuses when many ask at once (429), for seconds:
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
HICCUP_SECONDS: Final = 30.0

Value = TypeVar("Value")


class RenewableCredentials:
    """Credentials that botocore's chain of providers finds, again after each `distrust`.

    One thread looks them up, and others wait for it: a provider may ask the user for a code.

    Args:
        find: Looks up the configuration as it is now, and returns what it finds.
    """

    def __init__(self, find: Callable[[], Credentials | None]) -> None:
        self._find = find
        self._changing = threading.Lock()  # guards `_found`
        self._found: Future[Credentials | None] | None = None

    def load_credentials(self) -> "RenewableCredentials":
        """Return these: to a session of botocore's, this is the chain of providers."""
        return self

    def distrust(self) -> None:
        """Look them up again before the next request: AWS has refused them."""
        with self._changing:
            if self._found is not None and self._found.done():
                self._found = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials to sign a request with.

        Raises:
            botocore.exceptions.BotoCoreError: There are none, or they cannot be had.
        """
        return _patient(self._frozen)

    def get_deferred_property(self, name: str) -> Callable[[], Any]:
        """Return what looks up an attribute when it is needed, as botocore's credentials do."""
        return lambda: getattr(self, name, None)

    # These are attributes of botocore's credentials.

    @property
    def method(self) -> str:
        """How they were found."""
        return str(_patient(self._present).method)

    @property
    def account_id(self) -> str | None:
        """Whose they are, if that is known."""
        return getattr(_patient(self._present), "account_id", None)

    @property
    def access_key(self) -> str:
        """The key's id."""
        return str(self.get_frozen_credentials().access_key)

    @property
    def secret_key(self) -> str:
        """The key."""
        return str(self.get_frozen_credentials().secret_key)

    @property
    def token(self) -> str | None:
        """The token of a session."""
        token: str | None = self.get_frozen_credentials().token
        return token

    def _frozen(self) -> ReadOnlyCredentials:
        try:
            with read_configuration():
                return self._present().get_frozen_credentials()
        except Exception:
            self.distrust()  # what is renewed meanwhile counts the next time
            raise

    def _present(self) -> Credentials:
        with self._changing:
            found = self._found
            if found is None:
                mine = self._found = Future[Credentials | None]()
        if found is None:
            found = mine
            try:
                with read_configuration():
                    mine.set_result(self._find())
            except BaseException as error:
                # Ctrl-C is for this thread alone.
                mine.set_exception(error if isinstance(error, Exception) else NoCredentialsError())
                self.distrust()
                raise
        credentials = found.result()
        if credentials is None:
            self.distrust()
            raise NoCredentialsError
        return credentials


def _patient(function: Callable[[], Value]) -> Value:
    patience = Patience(outage=HICCUP_SECONDS, passes=is_endpoint_hiccup)
    return patience.call(function, what="get AWS credentials")
