"""What a `LocalAWS` orders from the process of its server."""

import dataclasses

__all__ = ["Order"]


@dataclasses.dataclass(frozen=True)
class Order:
    """The arguments of `LocalAWS`, the owner's ``sys.path``, and the endpoint once it is known."""

    workers: int
    region: str
    stack: str
    stop_grace: float
    middleware: str | None
    path: list[str]
    logs: bool = False
    endpoint: str = ""
