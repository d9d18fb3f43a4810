"""However main ends, its run is taken down; and runs keep apart."""

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.run.sweep import sweep
from tests.support.blocks import Stage
from tests.support.helpers import eventually, processes_below

PRELUDE = """
import os, sys, time
from rios_plugin_awsbatch import BatchExecutor

folder, name = sys.argv[1:]

def gated(number):
    with open(f"{folder}/calls", "ab", buffering=0) as calls:
        calls.write(f"{number} {os.getpid()} {os.getppid()}\\n".encode())
    while not os.path.exists(f"{folder}/gate"):
        time.sleep(0.01)
    return number, name

def quick(number):
    return number * number

def large(number):
    return bytes(2_000_000)

"""


class Script:
    """A user's script in a process of its own."""

    def __init__(self, aws, folder, source, name="main", **settings):
        path = folder / f"{name}.py"
        path.write_text(PRELUDE + textwrap.dedent(source))
        variables = {
            f"RIOS_AWSBATCH_{setting.upper()}": str(value) for setting, value in settings.items()
        }
        self.output = folder / f"{name}.out"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(path), str(folder), name],
                env={**aws.adapted(os.environ), **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self):
        """Wait for its end; return its exit code and output, but what was tried again."""
        code, lines = self.process.wait(90), self.output.read_text().splitlines(keepends=True)
        return code, "".join(line for line in lines if "will try again" not in line)


@pytest.fixture
def start(cloud, tmp_path):
    scripts = []

    def starts(source, **more):
        scripts.append(Script(cloud.aws, tmp_path, source, **more))
        return scripts[-1]

    yield starts
    for script in scripts:
        if script.process.poll() is None:
            os.killpg(script.process.pid, signal.SIGKILL)
            script.process.wait()


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


BARE = """
pool = BatchExecutor(2)
futures = [pool.submit(gated, number) for number in range(20)]
stored = pool.submit(large, 1)
"""
WITH = """
with BatchExecutor(2) as pool:
    futures = [pool.submit(gated, number) for number in range(20)]
    """


@pytest.mark.parametrize("opening", [BARE, WITH], ids=["bare", "with"])
@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        ("while not os.path.exists(f'{folder}/calls'): time.sleep(0.01)", None, ""),
        ("raise RuntimeError('of the script')", 1, "of the script"),
        ("sys.exit(3)", 3, ""),
    ],
    ids=["nothing", "exception", "exit"],
)
def test_a_script_that_ends_takes_its_run_down(  # noqa: PLR0913, PLR0917 - three fixtures and three parameters
    cloud, start, stage, opening, ending, code, words
):
    """A script that ends while tasks are pending, however it does, leaves nothing behind."""
    script = start(opening + ending + "\n")
    if code is None and opening is WITH:  # a with block that ends well waits for its tasks
        stage.nth_call(1)
        stage.open_gate()
    got, output = script.end()
    assert got == (code or 0), output
    assert words in output
    assert "could not" not in output
    assert not cloud.objects()
    assert not cloud.run_queues()


@pytest.mark.parametrize("opening", [BARE, WITH], ids=["bare", "with"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_takes_the_run_down(cloud, start, stage, opening, number):
    """Ctrl-C and SIGTERM end a script that waits for its tasks, and leave nothing."""
    script = start(opening + "futures[0].result()\n")
    stage.nth_call(2)
    os.kill(script.process.pid, number)
    code, output = script.end()
    assert code == (-signal.SIGINT if number == signal.SIGINT else 128 + signal.SIGTERM), output
    assert not cloud.objects()
    assert not cloud.run_queues()


def test_a_script_that_never_shuts_down_ends_well(cloud, start):
    """A script that has all its results and forgets shutdown() exits 0 and leaves nothing."""
    code, output = start(
        """
        pool = BatchExecutor(2)
        assert list(pool.map(quick, range(10))) == [number * number for number in range(10)]
        print("finished")
        """
    ).end()
    assert (code, output) == (0, "finished\n")
    assert not cloud.objects()
    assert not cloud.run_queues()


def test_after_sigkill_the_workers_end_and_a_sweep_removes_the_rest(cloud, start, stage):
    """A killed main's workers end when idle; a sweep removes the rest, and spares a live run."""
    killed = start("BatchExecutor(1).submit(gated, 1).result()\n", name="killed", idle_timeout=1)
    stage.nth_call(1)
    killed.process.kill()
    stage.open_gate()
    eventually(lambda: not cloud.unfinished_jobs(), "the killed main's worker did not end")
    eventually(lambda: not cloud.worker_processes(), "the killed main's worker left a process")
    (queues, dead) = cloud.run_queues(), runs_of(cloud)
    assert len(queues) == 2
    assert len(dead) == 1
    clients = Clients("ap-southeast-2")
    move_to_another_machine(cloud)
    assert sweep(clients, cloud.bucket) == []  # by default only what has been silent for long
    # S3 counts in seconds, and the live run must be younger by more than that.
    eventually(lambda: all(age > 3 for age, _ in ages(clients, cloud)))

    live = start(
        """
        with BatchExecutor(1) as pool:
            print(pool.submit(quick, 5).result(), flush=True)
            open(f"{folder}/computed", "w").close()
            while not os.path.exists(f"{folder}/swept"):
                time.sleep(0.01)
            print(pool.submit(quick, 6).result())
        """,
        name="live",
    )
    eventually((live.output.parent / "computed").exists)
    age_between = eventually(lambda: age_that_parts(clients, cloud, dead))
    assert sweep(clients, cloud.bucket, stale_seconds=age_between) == dead
    assert not set(queues) & set(cloud.run_queues())
    assert len(runs_of(cloud)) == 1
    (live.output.parent / "swept").touch()
    assert live.end() == (0, "25\n36\n")


def move_to_another_machine(cloud):
    """Have the only run's record say that its main is somewhere else."""
    (key,) = [key for key in cloud.objects() if key.endswith("/run.json")]
    elsewhere = json.dumps({**cloud.record(), "machine": "another one"})
    cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=elsewhere.encode())


def runs_of(cloud):
    return sorted({key.split("/")[1] for key in cloud.objects()})


def ages(clients, cloud):
    """Return the seconds since each object of each run was written, and whose it is."""
    listed = clients.s3.list_objects_v2(Bucket=cloud.bucket, Prefix="runs/")
    now = dt.datetime.now(dt.timezone.utc)
    return [
        ((now - item["LastModified"]).total_seconds(), item["Key"].split("/")[1])
        for item in listed["Contents"]
    ]


def age_that_parts(clients, cloud, dead):
    """Return seconds between the ages of the dead run and the live one, once two apart."""
    found = ages(clients, cloud)
    oldest = max(age for age, run in found if run not in dead)
    youngest = min(age for age, run in found if run in dead)
    return youngest - oldest > 2 and (youngest + oldest) / 2


def test_a_run_whose_main_died_is_swept_whole(cloud, start, stage):
    """On main's machine at once; also the jobs end whose workers still compute."""
    killed = start("BatchExecutor(1).submit(gated, 1).result()\n")
    stage.nth_call(1)
    assert sweep(Clients("ap-southeast-2"), cloud.bucket) == []
    killed.process.kill()
    killed.process.wait()
    assert len(cloud.unfinished_jobs()) == 1
    dead = runs_of(cloud)
    assert sweep(Clients("ap-southeast-2"), cloud.bucket) == dead
    eventually(lambda: not cloud.unfinished_jobs(), "the job was not ended")
    assert not cloud.run_queues()


def test_what_a_child_has_left_goes_with_the_next_run_on_its_machine(cloud, start):
    """A child that leaves by os._exit can end nothing."""
    script = start(
        """
        pid = os.fork()
        if pid == 0:
            BatchExecutor(1).submit(quick, 2).result()
            os._exit(0)
        os.waitpid(pid, 0)
        print("left", flush=True)
        while not os.path.exists(f"{folder}/gate"):
            time.sleep(0.01)
        with BatchExecutor(1) as pool:
            assert pool.submit(quick, 3).result() == 9
            while not os.path.exists(f"{folder}/swept"):
                time.sleep(0.01)
        """,
    )
    eventually(lambda: "left" in script.output.read_text())
    left = set(cloud.run_queues())
    assert len(left) == 2
    Stage(script.output.parent).open_gate()
    eventually(lambda: not left & set(cloud.run_queues()), script.output.read_text)
    eventually(lambda: len(cloud.unfinished_jobs()) == 1, "the child's job was not ended")
    (script.output.parent / "swept").touch()
    assert script.end() == (0, "left\n")


def test_two_mains_on_one_stack_do_not_meet(cloud, start):
    """Two scripts that run at once on one stack each get all their own results, and no others."""
    source = """
        with BatchExecutor(1) as pool:
            results = list(pool.map(gated, range(20)))
        assert results == [(number, name) for number in range(20)], results
        print("mine")
        """
    scripts = [start(source, name="one"), start(source, name="two")]
    folder = scripts[0].output.parent
    eventually(lambda: len(cloud.run_queues()) == 4, "the two runs were not there at once")
    Stage(folder).nth_call(2)
    Stage(folder).open_gate()
    for code, output in [script.end() for script in scripts]:
        assert code == 0
        assert "mine" in output.splitlines()


@pytest.mark.parametrize(
    "ending", ["sys.exit(0)", "raise ValueError('of the child')", "pass", "os._exit(0)"]
)
def test_a_fork_leaves_the_run_to_its_parent(start, stage, ending):
    """A child forked while tasks are pending ends, however it does, without ending the run."""
    script = start(
        f"""
        with BatchExecutor(1) as pool:
            first = pool.submit(quick, 2)
            assert first.result() == 4
            pending = pool.submit(gated, 7)
            pid = os.fork()
            if pid == 0:
                {ending}
            else:
                os.waitpid(pid, 0)
                open(f"{{folder}}/gate", "w").close()
                assert pending.result() == (7, name)
                assert pool.submit(quick, 3).result() == 9
                print("the parent's run has lived")
        """
    )
    stage.nth_call(1)
    code, output = script.end()
    assert code == 0, output
    assert "the parent's run has lived" in output
    assert "KeyError" not in output
    assert not processes_below(script.process.pid)


def test_a_forked_child_has_a_run_of_its_own(start):
    """A forked child is refused the parent's run with a clear error, and may have its own."""
    script = start(
        """
        with BatchExecutor(1) as pool:
            assert pool.submit(quick, 2).result() == 4
            pid = os.fork()
            if pid == 0:
                try:
                    pool.submit(quick, 5)
                except Exception as error:
                    print(error, flush=True)
                with BatchExecutor(1) as own:
                    assert own.submit(quick, 3).result() == 9
                print("child", flush=True)
                sys.exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert pool.submit(quick, 4).result() == 16
            print("parent")
        """
    )
    code, output = script.end()
    assert code == 0, output
    error, *others = output.splitlines()
    assert re.fullmatch(
        r"Run \S+ belongs to process \d+, of which this one is a fork; make an executor here.",
        error,
    )
    assert others == ["child", "parent"]
