"""A main job is submitted once, although SubmitJob has no token by which Batch tells a repetition.

The job has its submission's id as a tag. If it is not known whether Batch has taken it, it is
looked for by its name and this tag before it is submitted again.
"""

import dataclasses
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import botocore.exceptions

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import DESCRIBED_JOBS, ENDED, jobs_named
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import is_refused
from rios_plugin_awsbatch.aws.patience import Patience

__all__ = ["SUBMISSION_TAG", "SubmittedOnce"]

log = logging.getLogger(__name__)

SUBMISSION_TAG: Final = "rios-submission"
OUTAGE_SECONDS: Final = 60.0
LISTED_SECONDS, LIST_PAUSE = 5.0, 0.5  # until a job is listed, mostly; and between two looks


@dataclasses.dataclass
class SubmittedOnce:
    """A job that is to be submitted once.

    Attributes:
        clients: The AWS clients.
        identity: The submission's id.
        request: SubmitJob's arguments.
    """

    clients: Clients
    identity: str
    request: Mapping[str, Any]
    _doubtful: bool = False

    def submit(self) -> str:
        """Submit it; return Batch's id of the job.

        Raises:
            botocore.exceptions.BotoCoreError: Batch does not take it, or cannot be reached.
        """
        patience = Patience(outage=OUTAGE_SECONDS)
        job_id = patience.call(self._attempt, what="submit the job")
        self._doubtful = False
        return job_id

    def end_unknown(self) -> None:
        """End what Batch may have taken, if the answer was lost, or an interrupt came."""
        if not self._doubtful:
            return
        with attempted(self.identity, "end its job", kind="submission"):
            for job in self._found():
                if job["status"] not in ENDED:
                    self.clients.batch.terminate_job(jobId=job["jobId"], reason="Not submitted")

    def _attempt(self) -> str:
        repeated = self._doubtful
        if repeated and (jobs := self._found()):
            log.warning("submission=%s is job %s", self.identity, jobs[0]["jobId"])
            return str(jobs[0]["jobId"])
        self._doubtful = True
        try:
            answer = self.clients.batch_unrepeated.submit_job(**self.request)
        except botocore.exceptions.ClientError as error:
            if is_refused(error):
                self._doubtful = repeated
            raise
        if repeated:
            self._end_others(answer["jobId"])
        return answer["jobId"]

    def _end_others(self, job_id: str) -> None:
        with attempted(self.identity, "look for jobs submitted twice", kind="submission"):
            for job in self._found():
                if job["jobId"] != job_id and job["status"] not in ENDED:
                    self.clients.batch.terminate_job(jobId=job["jobId"], reason="Submitted twice")

    def _found(self) -> list[Any]:
        """Return the jobs of this submission, once one is listed."""
        deadline = time.monotonic() + LISTED_SECONDS
        while True:
            batch, name = self.clients.batch, self.request["jobName"]
            listed = jobs_named(batch, self.request["jobQueue"], name)[:DESCRIBED_JOBS]
            ids = [job["jobId"] for job in listed]  # the latest come first
            described: list[Any] = list(batch.describe_jobs(jobs=ids)["jobs"]) if ids else []
            own = [one for one in described if self._is_own(one)]
            if own or time.monotonic() > deadline:
                return own
            time.sleep(LIST_PAUSE)

    def _is_own(self, job: Any) -> bool:
        return bool(job.get("tags", {}).get(SUBMISSION_TAG) == self.identity)
