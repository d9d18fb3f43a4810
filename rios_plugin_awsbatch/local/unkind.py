"""Unkind mode: how often, and for how long, the embedded AWS is as unkind as the real one.

Each `Trait` is something that AWS documents, or that users of AWS have reported; the comment above
it names the source. The services ask an `Unkindness`; a kind one always says no.

The chances are those of a bad day, and higher than AWS's own, so that a suite of tests meets them.
The times are shorter: lags of a second rather than of a minute.
"""

import contextlib
import dataclasses
import random
import threading
from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["TRAITS", "Trait", "Unkindness"]


@dataclasses.dataclass(frozen=True)
class Trait:
    """One way of being unkind.

    Attributes:
        name: Its name, for tests that change its odds.
        chance: How often, between 0 and 1.
        least: The shortest time that it lasts, in seconds.
        most: The longest.
        services: The services, as in a request's signature, to whose requests it applies; empty
            for all of them.
    """

    name: str
    chance: float
    least: float = 0.0
    most: float = 0.0
    services: tuple[str, ...] = ()


# -- every service --

SLOW: Final = Trait("slow", 0.15, 0.005, 0.04)
# https://docs.aws.amazon.com/general/latest/gr/api-retries.html: requests may be throttled, fail
# within AWS (5xx) or get no answer. Each service has its own code, see `outages`.
THROTTLED: Final = Trait("throttled", 0.002)
SERVER_ERROR: Final = Trait("server error", 0.001)
DROPPED: Final = Trait("dropped", 0.001)
# It is done, but nobody is told.
ANSWER_LOST: Final = Trait("answer lost", 0.001)
# boto/boto3#581, boto/boto3#887, boto/botocore#2463: proxies cut answers, or answer themselves.
CUT: Final = Trait("cut", 0.0005)
HTML: Final = Trait("html", 0.0005)

# -- Batch --

_BATCH: Final = ("batch",)
# Netflix/metaflow#543, apache/airflow#37552: DescribeJobs answers nothing for a new job.
JOB_UNKNOWN: Final = Trait("job unknown", 0.5, 0.2, 1.0, _BATCH)
# The same delay, in ListJobs; boto/boto3#3315 has a list that differs from another.
JOB_UNLISTED: Final = Trait("job unlisted", 0.5, 0.2, 1.0, _BATCH)
# The summary of an array follows its children; no document says how soon.
SUMMARY_LATE: Final = Trait("summary late", 0.5, 0.2, 1.0, _BATCH)
# aws/aws-sdk#588, aws/aws-sdk-js#4193, acknowledged by the Batch team.
NO_JOB_DEFINITION: Final = Trait("no job definition", 1.0, services=_BATCH)
# aws/containers-roadmap#2798: SubmitJob has no client token. A client that has lost the answer
# submits a second job.
SUBMIT_LOST: Final = Trait("submit lost", 0.03, services=_BATCH)
# https://docs.aws.amazon.com/batch/latest/userguide/job_states.html: a job is RUNNABLE until there
# are resources for it.
RUNNABLE: Final = Trait("runnable", 0.5, 0.05, 0.3, _BATCH)
# https://docs.aws.amazon.com/batch/latest/userguide/bestpractice6.html: machines can be reclaimed;
# neither Batch nor ECS hands EC2's notice on (codalab/codalab-worksheets#2977).
VANISHES: Final = Trait("vanishes", 0.003, 0.3, 3.0, _BATCH)

# Without `initProcessEnabled`, the command of a container is process 1, to which the kernel passes
# no signal that it has no handler for:
# https://docs.aws.amazon.com/batch/latest/APIReference/API_LinuxParameters.html, pid_namespaces(7)
FIRST_PROCESS: Final = Trait("first process", 1.0, services=_BATCH)

# -- SQS --

_SQS: Final = ("sqs",)
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
# A short poll asks a sample of the servers only.
SHORT_POLL_EMPTY: Final = Trait("short poll empty", 0.4, services=_SQS)
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
# "fewer messages might be returned"; a long poll answers as soon as it has one message.
FEWER: Final = Trait("fewer", 0.3, services=_SQS)
# .../SQSDeveloperGuide/standard-queues-at-least-once-delivery.html: a copy of a message stays on a
# server that was unavailable, also after the message has been deleted.
TWICE: Final = Trait("twice", 0.01, 0.0, 0.5, _SQS)
# .../SQSDeveloperGuide/standard-queues.html: best-effort ordering.
OUT_OF_ORDER: Final = Trait("out of order", 0.3, services=_SQS)
# aws/aws-sdk-java#2562: single messages of a batch fail with InternalError.
ENTRY_FAILED: Final = Trait("entry failed", 0.003, services=_SQS)
# .../APIReference/API_CreateQueue.html: "you must wait at least one second after the queue is
# created to be able to use the queue". Until then, `QUEUE_MISSED` of the requests do not find it.
QUEUE_UNKNOWN: Final = Trait("queue unknown", 0.2, 0.1, 0.5, _SQS)
QUEUE_MISSED: Final = Trait("queue missed", 0.5, services=_SQS)
# .../APIReference/API_DeleteQueue.html: "When you delete a queue, you must wait at least 60 seconds
# before creating a queue with the same name"; it has the error QueueDeletedRecently.
NAME_BLOCKED: Final = Trait("name blocked", 1.0, 60.0, 60.0, _SQS)

TRAITS: Final[Mapping[str, Trait]] = {
    trait.name: trait for trait in list(globals().values()) if isinstance(trait, Trait)
}


class Unkindness:
    """Decides when to be unkind.

    Each trait has its own random numbers, which depend on the seed only. So what befalls the third
    job does not depend on how many messages there were before.

    Args:
        seed: The seed; None to be kind, until a test changes the odds of a trait.
    """

    def __init__(self, seed: int | None) -> None:
        self._deciding = threading.Lock()  # guards all that follows, but `_request`
        self._dice = {name: random.Random(f"{seed}/{name}") for name in TRAITS}  # noqa: S311 - no secret
        self._traits: list[Mapping[str, Trait]] = [{} if seed is None else TRAITS]  # last: in force
        self._request = threading.local()

    @contextlib.contextmanager
    def during(self, service: str) -> Iterator[None]:
        """Decide for a request to a service in this thread; outside of requests all is kind.

        Args:
            service: As in the signature; empty to spare the request.
        """
        self._request.service = service
        try:
            yield
        finally:
            self._request.service = ""

    @property
    def spared(self) -> bool:
        """Whether this thread has no request, or one of a client that is treated kindly."""
        return not getattr(self._request, "service", "")

    def set_odds(self, odds: Mapping[str, tuple[float, float, float]] | None) -> None:
        """Change the odds, for tests.

        Args:
            odds: By the traits' names: chance, least and most seconds. All other traits are off;
                None restores the odds before the latest change.
        """
        changed = {
            name: dataclasses.replace(TRAITS[name], chance=chance, least=least, most=most)
            for name, (chance, least, most) in (odds or {}).items()
        }
        with self._deciding:
            if odds is not None:
                self._traits.append(changed)
            elif len(self._traits) > 1:
                self._traits.pop()

    def happens(self, trait: Trait) -> bool:
        """Say whether to be unkind in this way now."""
        with self._deciding:
            return self._applies(trait) is not None

    def seconds(self, trait: Trait) -> float:
        """Return for how many seconds to be unkind in this way; 0 to be kind."""
        with self._deciding:
            found = self._applies(trait)
            return self._dice[trait.name].uniform(found.least, found.most) if found else 0.0

    def shuffled(self, trait: Trait, count: int) -> list[int]:
        """Return the numbers below `count`: in order, or shuffled."""
        numbers = list(range(count))
        with self._deciding:
            if self._applies(trait):
                self._dice[trait.name].shuffle(numbers)
        return numbers

    def fewer(self, trait: Trait, count: int) -> int:
        """Return `count`, or a smaller number that is not 0."""
        with self._deciding:
            return self._dice[trait.name].randint(1, count) if self._applies(trait) else count

    def _applies(self, trait: Trait) -> Trait | None:
        """Return the trait with the odds in force, if it happens; the caller holds the lock."""
        service = getattr(self._request, "service", "")
        found = self._traits[-1].get(trait.name)
        if not service or found is None or (trait.services and service not in trait.services):
            return None
        return found if self._dice[trait.name].random() < found.chance else None
