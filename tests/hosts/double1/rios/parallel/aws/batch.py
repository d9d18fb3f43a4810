"""The host's own manager of the same name, which scripts import and nobody should get."""

from rios.parallel import jobmanager


class AWSBatchJobManager(jobmanager.JobManager):
    jobMgrType = "AWSBatch"

    def startOneJob(self, userFunc, jobInfo):
        raise NotImplementedError("this is the host's own")
