"""The runs that are alive in this process: found again by a second use, ended on every way out.

A cold start of Batch takes minutes, so a run may stay warm for its next user: for as long as the
setting `warm_timeout` says, unless another job waits for its workers' places. A run ends for good
when its last user says so, when the process exits (also after an exception or Ctrl-C, and in
children of `multiprocessing`), and on SIGTERM.
"""

import dataclasses
import functools
import os
import threading
from concurrent.futures import Future
from typing import TypeAlias

from rios_plugin_awsbatch.aws.attempts import attempt_all
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.endpoints import before_end
from rios_plugin_awsbatch.errors import AWSBatchException, StackError
from rios_plugin_awsbatch.nesting import refuse_in_worker
from rios_plugin_awsbatch.settings import Settings, region_of
from rios_plugin_awsbatch.stack.outputs import RUNS_NEED, StackOutputs, read_stack

from .advice import advise
from .exits import close_at_exit, signals_deferred, signals_ignored
from .run import Run, start_run

__all__ = ["Lease", "close_all", "guard_exits", "lease"]

# These say where AWS is and who we are. A run must not be found again after they have changed.
_AWS_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID")

_Identity: TypeAlias = tuple[object, ...]  # process, settings, `_AWS_VARIABLES`
_ENDPOINT = 2


@dataclasses.dataclass(eq=False)
class _Live:
    """A run that is alive or being started, and how many use it."""

    run: "Future[Run]"
    warm_timeout: float
    users: int = 0


_lock = threading.Lock()  # guards `_live`, the users in it, and `_ending`
_live: dict[_Identity, _Live] = {}
_ending: set[Run] = set()  # which some thread is closing


class Lease:
    """The right to use a run; give it back with `release`."""

    def __init__(self, live: _Live) -> None:
        self.run = live.run.result()
        self._live = live
        self._held = True  # guarded by `_lock`
        self._owner = os.getpid()

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that has the run."""
        return os.getpid() != self._owner

    def release(self, *, keep_warm: bool = False) -> None:
        """Give the run back. The last user's release ends it, unless it is to stay warm."""
        if self.inherited:
            return
        with _lock:
            if not self._held:
                return
            self._held = False
            self._live.users -= 1
            if self._live.users > 0:
                return
            warm = keep_warm and self._live.warm_timeout > 0 and self.run.open
            if not warm:
                _retire(self._live, self.run)
        if warm:
            self.run.keep_warm(
                self._live.warm_timeout, functools.partial(_end_unused, self._live, self.run)
            )
        else:
            _end(self.run)


def lease(settings: Settings, workers: int) -> Lease:
    """Return the right to use a run with at least `workers` workers: a live one, or a new one.

    Raises:
        StackError: The stack cannot be used.
        WorkersError: Batch does not take the workers' job, or this is a worker itself.
    """
    refuse_in_worker()
    identity: _Identity = (os.getpid(), settings, *map(os.environ.get, _AWS_VARIABLES))
    while True:
        with _lock:
            live = _live.get(identity)
            mine = live is None
            if live is None:
                live = _live[identity] = _Live(Future(), settings.warm_timeout)
            live.users += 1
        if mine:
            _start(live, settings, workers)
            return Lease(live)
        try:
            run = live.run.result()
        except BaseException:  # Ctrl-C while another thread starts it: nobody has this lease
            with _lock:
                live.users -= 1
            raise
        if run.open:
            run.want_workers(workers)
            return Lease(live)
        with _lock:  # it has broken, or is being closed: another one takes its place
            _retire(live, run)
        _end(run)


def _start(live: _Live, settings: Settings, workers: int) -> None:
    """Start a run, for all who wait for it."""
    try:
        clients = Clients(region_of(settings))
        stack = _read_stack(clients, settings)
        guard_exits()  # before there is anything to take down
        live.run.set_result(start_run(settings, stack, clients, workers))
    except BaseException as error:
        with _lock:
            _forget(live)
        # Ctrl-C is for the thread that it meets, not for those that wait for the run.
        interrupted = AWSBatchException("The start of the run was interrupted.")
        live.run.set_exception(error if isinstance(error, Exception) else interrupted)
        raise


def _read_stack(clients: Clients, settings: Settings) -> StackOutputs:
    try:
        return read_stack(clients, settings, *RUNS_NEED)
    except StackError as error:
        advise(error)
        raise error.with_traceback(None) from error.__cause__  # our own frames say nothing more


def close_all(endpoint: str | None = None) -> None:
    """End every run of this process, and wait for those that another thread is ending.

    Args:
        endpoint: End only the runs on the AWS that is there.
    """
    # The process goes on after it has left an embedded AWS: signals wait. Else it is ending.
    with signals_ignored() if endpoint is None else signals_deferred():
        with _lock:
            concerned = {
                identity: live.run
                for identity, live in _live.items()
                if endpoint in (None, identity[_ENDPOINT])
            }
            for identity in concerned:
                del _live[identity]
            started = [
                run
                for identity, run in concerned.items()
                if identity[0] == os.getpid() and run.done()
            ]
            _ending.update(run.result() for run in started if run.exception() is None)
            runs = list(_ending)
        ends = [(f"end run {run.run_id}", functools.partial(_end, run)) for run in runs]
        attempt_all(str(os.getpid()), ends, kind="process")


before_end(close_all)  # the embedded AWS is left, with all that is on it


def guard_exits() -> None:
    """See to it that runs end with the interpreter."""
    close_at_exit(close_all)


def _end_unused(live: _Live, run: Run) -> None:
    """End a run that is kept warm, unless a user has come."""
    with _lock:
        if live.users > 0:
            return
        _retire(live, run)
    _end(run)


def _retire(live: _Live, run: Run) -> None:
    """Have no new user find a run, which is to be ended; the caller holds `_lock`."""
    _forget(live)
    _ending.add(run)


def _end(run: Run) -> None:
    try:
        run.close()
    finally:
        with _lock:
            _ending.discard(run)


def _forget(live: _Live) -> None:
    for identity in [identity for identity, one in _live.items() if one is live]:
        del _live[identity]


def _after_fork() -> None:
    """Forget the parent's runs: a forked child must not end them, and has none of their threads."""
    global _lock  # noqa: PLW0603 - the parent's other threads may have held it
    _lock = threading.Lock()
    _live.clear()
    _ending.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
