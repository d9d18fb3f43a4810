"""What a job manager is, and how it is found."""


class JobInfo:
    """A block on its way."""

    def prepareForPickling(self):
        return self


class JobManager:
    """The base class; who derives from it directly is found."""

    jobMgrType = None

    def __init__(self, numSubJobs):
        self.numSubJobs = numSubJobs
        self.tempdir = "."

    def setTempdir(self, tempdir):
        self.tempdir = tempdir

    def runSubJobs(self, function, fnInputs):
        started = self.startAllJobs(function, fnInputs)
        self.waitOnJobs(started)
        return self.gatherAllOutputs(started)

    def finalise(self):
        pass


def getJobManagerClassByType(jobMgrType):
    found = [kind for kind in JobManager.__subclasses__() if kind.jobMgrType == jobMgrType]
    return found[-1] if found else None


def getJobMgrObject(controls):
    manager = getJobManagerClassByType(controls.jobManagerType)(controls.numThreads)
    manager.setTempdir(controls.tempdir)
    return manager
