"""What `LocalAWS` and its server agree on: the options, and the name of the server."""

import dataclasses
from typing import Final

__all__ = ["CONTROL", "SERVER", "SPARED", "ServerOptions"]

SERVER: Final = "rios-awsbatch-local"  # the header by which clients know the embedded AWS
CONTROL: Final = "/_control/"  # where tests give orders to the server
SPARED: Final = "rios-awsbatch-spared"  # in the user agent of clients to whom AWS is always kind


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """The arguments of `LocalAWS`, and what the server needs to know of its owner.

    Attributes:
        workers: As for `LocalAWS`, and so are the next seven.
        path: The owner's ``sys.path``, for the middleware.
        keys: The access keys of users, by their names: id and secret.
        users: The policies of users, as JSON, by the users' names.
        record: The file to which the server adds what is called; None for no record.
        endpoint: The URL that is served; empty until the server has a port.
    """

    workers: int
    region: str
    stack: str
    stop_grace: float
    logs: bool
    middleware: str | None
    worker_python: str
    unkind: int | None
    path: list[str]
    keys: dict[str, tuple[str, str]]
    users: dict[str, list[str]]
    record: str | None = None
    endpoint: str = ""
