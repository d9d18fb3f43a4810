"""The errors that are part of the contract."""


class TimeoutError(Exception):  # noqa: A001 - the host's name
    pass


class WorkerExceptionError(Exception):
    pass
