"""Places for jobs in compute environments: who has one, and who waits for one."""

import collections
from collections.abc import Iterator

from .jobs import Job

__all__ = ["Places"]


class Places:
    """So many places in each compute environment; guarded by the scheduler's lock.

    Attributes:
        each: How many there are in each compute environment.
        occupied: How many of them the jobs of others hold.
    """

    def __init__(self, each: int) -> None:
        self.each = each
        self.occupied = 0
        # By compute environment:
        self._waiting: dict[str, collections.deque[Job]] = collections.defaultdict(
            collections.deque
        )
        self._taken: collections.Counter[str] = collections.Counter()

    @property
    def taken(self) -> int:
        """How many jobs have a place, those of others aside."""
        return self._taken.total()

    def wait(self, job: Job) -> None:
        """Let a job wait for a place."""
        self._waiting[job.spec.compute_environment].append(job)

    def give(self) -> Iterator[Job]:
        """Give the free places to those that have waited longest, and are RUNNABLE still."""
        for environment, waiting in self._waiting.items():
            while waiting and self._taken[environment] + self.occupied < self.each:
                job = waiting.popleft()
                if job.status == "RUNNABLE":
                    self._taken[environment] += 1
                    yield job

    def leave(self, job: Job) -> None:
        """Take the place of a job back."""
        self._taken[job.spec.compute_environment] -= 1
