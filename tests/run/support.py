"""A Batch that knows and answers what a test says, for what the embedded one does not do."""

from rios_plugin_awsbatch.run.roster import Roster
from rios_plugin_awsbatch.run.workforce import Workforce
from rios_plugin_awsbatch.stack.outputs import StackOutputs
from rios_plugin_awsbatch.wire.messages import WorkerNotice

RUN = "20260101T000000-00000001"
HOST_LOST = "Host EC2 (instance i-0123456789abcdef0) terminated."
CRASH = "Essential container in task exited"


class NoInventory:
    """An inventory that is not stored."""

    def __init__(self):
        self.launches = []
        self.kept = []

    def write(self, launches=(), **_):
        self.launches = list(launches or self.launches)

    def keep(self, *names):
        self.kept += names or ["a job"]


class ScriptedBatch:
    """Jobs whose workers a test fails and ends.

    Attributes:
        known: Whether DescribeJobs knows jobs.
        listed: Whether ListJobs knows workers that failed.
        ended: Ids of jobs that were terminated.
        reason: Batch's reason for RUNNABLE.
    """

    def __init__(self):
        self.known = self.listed = True
        self.ended = []
        self.reason = None
        self._jobs = {}  # id -> (name, [status and reason of each worker])

    def submit_job(self, **request):
        job = f"job{len(self._jobs)}"
        size = request.get("arrayProperties", {}).get("size", 1)
        self._jobs[job] = (request["jobName"], [("RUNNING", None)] * size)
        return {"jobId": job}

    def set(self, job, number, status, reason=None):
        self._jobs[job][1][number] = (status, reason)

    def set_all(self, job, status, reason=None):
        workers = self._jobs[job][1]
        workers[:] = [(status, reason)] * len(workers)

    def terminate_job(self, **request):
        self.ended.append(request["jobId"])

    def describe_jobs(self, jobs):
        return {"jobs": [self._described(job) for job in jobs] if self.known else []}

    def get_paginator(self, _name):
        return self

    def paginate(self, **request):
        if "filters" in request:
            (name,) = request["filters"][0]["values"]
            found = [self._described(job) for job, (own, _) in self._jobs.items() if own == name]
        elif self.listed:
            array = request["arrayJobId"]
            workers = self._jobs[array][1]
            found = [
                {"jobId": f"{array}:{number}", "status": status, "statusReason": reason}
                for number, (status, reason) in enumerate(workers)
                if status == request["jobStatus"]
            ]
        else:
            found = []
        return [{"jobSummaryList": found}]

    def list_jobs(self, **request):
        (answer,) = self.paginate(**request)
        return answer

    def _described(self, job):
        name, workers = self._jobs[job]
        described = {"jobId": job, "jobName": name, "createdAt": 0}
        if len(workers) == 1:
            ((status, reason),) = workers
            return described | {"status": status, "statusReason": reason or self.reason}
        states = [status for status, _ in workers]
        counts = {status: states.count(status) for status in set(states)}
        over = set(states) <= {"SUCCEEDED", "FAILED"}
        status = ("FAILED" if "FAILED" in states else "SUCCEEDED") if over else "PENDING"
        return described | {
            "status": status,
            "arrayProperties": {"size": len(workers), "statusSummary": counts},
        }


def scripted_force(batch, wanted, *, replacements=3, startup_timeout=900.0):
    """Return a workforce that has started, and its roster."""
    roster = Roster(RUN)
    stack = StackOutputs("RIOS", "r", "b", "q", "d", 8)
    force = Workforce(
        batch,
        stack,
        RUN,
        {},
        roster,
        NoInventory(),
        wanted=wanted,
        replacements=replacements,
        startup_timeout=startup_timeout,
    )
    force.start()
    return force, roster


def is_ready(roster, worker="w"):
    roster.note(WorkerNotice(worker=worker, event="ready"))
