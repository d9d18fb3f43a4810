"""What a manager of compute workers is, and how it is found."""

import abc


class ComputeWorkerManager(abc.ABC):
    """The base class; who derives from it directly is found."""

    computeWorkerKind = None
    computeWorkersRead_default = None
    outObjList = None
    jobName = None

    @abc.abstractmethod
    def startWorkers(self, **given):
        pass

    @abc.abstractmethod
    def shutdown(self):
        pass

    def setJobName(self, jobName):
        self.jobName = jobName


class HostsOwnComputeWorkerMgr(ComputeWorkerManager):
    """The host's own of the same name, which nobody should get."""

    computeWorkerKind = "CW_AWSBATCH"

    def startWorkers(self, **given):
        raise NotImplementedError("this is the host's own")

    def shutdown(self):
        pass


def getComputeWorkerManager(cwKind):
    return [
        kind for kind in ComputeWorkerManager.__subclasses__() if kind.computeWorkerKind == cwKind
    ][-1]()
