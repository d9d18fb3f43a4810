"""The old base class: whoever calls it is told that it is deprecated."""

import sys


class JobManager:
    jobMgrType = None

    def __init__(self, numSubJobs):
        print("WARNING: deprecated", file=sys.stderr)
        self.numSubJobs = numSubJobs
        self.tempdir = "."

    def setTempdir(self, tempdir):
        self.tempdir = tempdir
