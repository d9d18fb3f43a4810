"""Where an acceptance takes place: a stack, clients, and what has been made and must be gone."""

import functools
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from rios_plugin_awsbatch.aws.attempts import attempt_all
from rios_plugin_awsbatch.aws.batch import ENDED, latest_definition
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.names import new_run_id, queue_name
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.hosts.executor import BatchExecutor
from rios_plugin_awsbatch.run.resources import delete_queue
from rios_plugin_awsbatch.settings import Settings
from rios_plugin_awsbatch.stack.outputs import StackOutputs

__all__ = ["JOB_SECONDS", "Site"]

JOB_SECONDS = 900.0  # within which a job begins and ends: a cold start takes one to five minutes
_POLL_SECONDS = 2.0
Value = TypeVar("Value")


class Site:
    """What checks work with. What they make through it, `take_down` deletes.

    Args:
        clients: The AWS clients.
        settings: The settings.
        stack: The stack, with an image that workers can use.
        embedded: Whether this is the embedded AWS.
        fis_role: The role that FIS may use to interrupt Spot instances; empty if there is none.
        say: Tells the user what happens.

    Attributes:
        identity: Marks everything that is made.
    """

    def __init__(  # noqa: PLR0913 - each is one fact, given by name
        self,
        clients: Clients,
        settings: Settings,
        stack: StackOutputs,
        *,
        embedded: bool,
        fis_role: str = "",
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.clients = clients
        self.settings = settings
        self.stack = stack
        self.embedded = embedded
        self.fis_role = fis_role
        self.say = say
        self.identity = secrets.token_hex(4)
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self._executor: BatchExecutor | None = None
        self._waiting = threading.Event()  # never set: a wait that Ctrl-C ends

    @property
    def job_name(self) -> str:
        """The name of jobs that are made here."""
        return f"rios-acceptance-{self.identity}"

    @property
    def stack_name(self) -> str:
        """The name of a stack that is made here."""
        return f"RIOS-acceptance-{self.identity}"

    def later(self, what: str, step: Callable[[], object]) -> None:
        """Have a step taken at the end: call this before making what it takes down."""
        self._undo.append((what, step))

    def take_down(self) -> bool:
        """Delete everything that was made, the latest first; return whether all of it is gone."""
        steps, self._undo = self._undo[::-1], []
        self._executor = None
        return attempt_all(self.identity, steps, kind="acceptance")

    def queue(self, **attributes: str) -> str:
        """Create a queue that is named as runs' queues are; return its URL."""
        name = queue_name(self.stack.queue_prefix, new_run_id(), "tasks")
        self.later(f"delete queue {name}", functools.partial(self._delete_named, name))
        given: Any = attributes
        return self.clients.sqs.create_queue(QueueName=name, Attributes=given)["QueueUrl"]

    def submit(self, **more: Any) -> str:
        """Submit a job of the stack's worker definition; return its id.

        Nothing tells it which run it works for, so that its worker ends by itself, with an error.
        """
        request: Any = {
            "jobName": self.job_name,
            "jobQueue": self.stack.job_queue,
            "jobDefinition": self.stack.job_definition,
            **more,
        }
        self.will_submit()
        job_id: str = self.clients.batch.submit_job(**request)["jobId"]
        return job_id

    def will_submit(self) -> None:
        """Have jobs of this name ended, if there are any at the end."""
        self.later("end jobs", self._end_jobs)

    def described(self, job_id: str) -> Any:
        """Return Batch's description of a job; None if Batch does not know it."""
        jobs: Any = self.clients.batch.describe_jobs(jobs=[job_id])["jobs"]
        return jobs[0] if jobs else None

    def ended(self, job_id: str) -> Any:
        """Wait until a job has ended; return Batch's description of it."""

        def look() -> Any:
            job = self.described(job_id)
            return job if job is not None and job["status"] in ENDED else None

        return self.until(look, JOB_SECONDS, f"job {job_id} to end")

    def until(self, look: Callable[[], Value | None], seconds: float, what: str) -> Value:
        """Return the first true value of `look`.

        Raises:
            AWSBatchException: There is none within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while not (value := look()):
            if time.monotonic() >= deadline:
                raise AWSBatchException(f"{seconds:.0f} s were not enough for {what}.")
            self.pause(0.2 if self.embedded else _POLL_SECONDS)
        return value

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._waiting.wait(seconds)

    def executor(self) -> BatchExecutor:
        """Return an executor with one worker, for all checks that want one; it ends at the end."""
        if self._executor is None:
            executor = self._executor = BatchExecutor(1, self.settings)
            self.later("end the executor", lambda: _give_up(executor))
        return self._executor

    def end_executor(self) -> None:
        """End the executor, and whatever its worker computes; the next user gets another one."""
        if self._executor is not None:
            _give_up(self._executor)
            self._executor = None

    def vcpus(self) -> float:
        """Return how many vCPUs a worker has."""
        definition = latest_definition(self.clients.batch, self.stack.job_definition)
        wanted = (definition or {}).get("containerProperties", {}).get("resourceRequirements", [])
        given = next((one["value"] for one in wanted if one["type"] == "VCPU"), "1")
        return float(self.settings.vcpus or given)

    def used(self, job: Any) -> float:
        """Return the vCPU seconds of a job that has ended."""
        milliseconds: int = job.get("stoppedAt", 0) - job.get("startedAt", job.get("stoppedAt", 0))
        return max(milliseconds, 0) / 1000 * self.vcpus()

    def _delete_named(self, name: str) -> None:
        for url in self.clients.sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", []):
            delete_queue(self.clients, url)

    def _end_jobs(self) -> None:
        """End what has the name of jobs made here, also what a lost answer has hidden."""
        filters: Any = [{"name": "JOB_NAME", "values": [self.job_name]}]
        pages = self.clients.batch.get_paginator("list_jobs").paginate(
            jobQueue=self.stack.job_queue, filters=filters
        )
        for page in pages:
            for job in page["jobSummaryList"]:
                if job.get("status") not in ENDED:
                    self.clients.batch.terminate_job(jobId=job["jobId"], reason="Acceptance over")


def _give_up(executor: BatchExecutor) -> None:
    """End an executor as Ctrl-C in its context would: nobody waits for what workers compute."""
    executor.__exit__(KeyboardInterrupt, None, None)
