"""How job managers of RIOS 1.4 are found, begin and end."""

import importlib.metadata
import os
import subprocess
import sys
import textwrap

from rios_plugin_awsbatch import AWSBatchJobManager
from rios_plugin_awsbatch.hosts.registry import load_plugins
from tests.hosts.support.jobs import blocks, double
from tests.support.helpers import eventually


def test_the_next_manager_finds_the_workers_warm(warm):
    """The second apply() of a script uses the run and the workers of the first."""
    queues, processes = [], []
    for _ in range(2):
        manager = AWSBatchJobManager(2)
        processes.append({output.pid for output in manager.runSubJobs(double, blocks(12))[1:]})
        manager.finalise()
        queues.append(warm.run_queues())
    assert processes[0] == processes[1]
    assert queues[0] == queues[1]
    assert len(queues[0]) == 2


def test_a_larger_manager_gets_more_workers(warm):
    """A second apply() with more threads starts the missing workers."""
    for threads, jobs in ((2, 1), (3, 2)):
        manager = AWSBatchJobManager(threads)
        assert len(manager.runSubJobs(double, blocks(4))) == 4
        eventually(lambda jobs=jobs: len(warm.unfinished_jobs()) == jobs)
        manager.finalise()


def test_finalise_may_be_called_twice_or_without_work(warm):
    """A script may apply nothing, or call finalise again in a finally clause."""
    manager = AWSBatchJobManager(2)
    manager.finalise()
    assert not warm.left()
    manager.runSubJobs(double, blocks(2))
    manager.finalise()
    manager.finalise()
    assert manager.statistics().tasks == 1
    assert manager.runSubJobs(double, blocks(2))[1].place == (1, 7)
    manager.finalise()


def test_the_manager_has_rioss_names(manager):
    """These are the attributes and methods that RIOS and scripts use."""
    assert AWSBatchJobManager.jobMgrType == "AWSBatch"
    assert manager.numSubJobs == 3
    manager.setTempdir("/somewhere")
    assert manager.tempdir == "/somewhere"
    for name in (
        "runSubJobs",
        "startAllJobs",
        "startOneJob",
        "waitOnJobs",
        "gatherAllOutputs",
        "finalise",
    ):
        assert callable(getattr(manager, name))


def test_the_entry_point_is_the_class():
    """The group rios.jobmanagers offers it as AWSBatch, to any host."""
    (point,) = importlib.metadata.entry_points(group="rios.jobmanagers", name="AWSBatch")
    assert point.load() is AWSBatchJobManager
    assert load_plugins()["AWSBatch"] is AWSBatchJobManager


def test_without_rios_the_manager_stands_on_its_own_base_class(tmp_path):
    """It exists without RIOS, and with a RIOS that has no job managers."""
    (tmp_path / "rios").mkdir()
    (tmp_path / "rios" / "__init__.py").write_text("")
    code = textwrap.dedent("""
        from rios_plugin_awsbatch import AWSBatchJobManager as m
        print(m.__mro__[1].__module__, m.jobMgrType, m(3).numSubJobs, m(3).tempdir)
    """)
    hidden = "import sys; sys.modules['rios'] = None\n"
    for path, prepare in (("", hidden), (str(tmp_path), "")):
        ended = subprocess.run(
            [sys.executable, "-c", prepare + code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout == "rios_plugin_awsbatch.hosts.rios1 AWSBatch 3 .\n"
