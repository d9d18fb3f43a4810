"""The console script rios-awsbatch-worker, as a process: what it says, and how it ends."""

import platform
import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

from rios_plugin_awsbatch._version import __version__
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import Exchange
from rios_plugin_awsbatch.wire.messages import Failure, Result, RunKey, Stop, Task, WorkerNotice
from rios_plugin_awsbatch.wire.queue import MessageQueue
from rios_plugin_awsbatch.wire.store import PayloadStore
from tests.support.blocks import Stage, gated_block
from tests.support.helpers import eventually, processes_below, without_aws

WORKER = str(Path(sys.executable).with_name("rios-awsbatch-worker"))
REGION = "ap-southeast-2"
PYTHON = ".".join(platform.python_version_tuple()[:2])
CLOUDPICKLE = int(cloudpickle.__version__.partition(".")[0])


def ran(environment, *arguments):
    """Run the worker to its end."""
    return subprocess.run(
        [WORKER, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_and_version_need_nothing():
    """--help and --version work without settings, credentials and network, and exit 0."""
    version = ran(without_aws(), "--version")
    assert (version.returncode, version.stdout) == (0, f"rios-awsbatch-worker {__version__}\n")
    shown = ran(without_aws(), "--help")
    assert shown.returncode == 0
    assert "RIOS_AWSBATCH_" in shown.stdout


class Bench:
    """The main side of a run with one worker, by hand."""

    def __init__(self, cloud, folder):
        self.secret = secrets.token_hex(32)
        self.key = RunKey("by-hand", self.secret)
        self.queues = [cloud.queue(), cloud.queue()]
        clients = Clients(REGION)
        tasks, results = (MessageQueue(clients.sqs, url) for url in self.queues)
        self.exchange = Exchange(
            tasks,
            results,
            PayloadStore(clients.s3, cloud.bucket, "runs/by-hand/"),
            self.key,
            700_000,
        )
        self.environment = cloud.aws.adapted(without_aws()) | {
            "RIOS_AWSBATCH_RUN": "by-hand",
            "RIOS_AWSBATCH_RUN_KEY": self.secret,
            "RIOS_AWSBATCH_BUCKET": cloud.bucket,
            "RIOS_AWSBATCH_IN_QUEUE": tasks.url,
            "RIOS_AWSBATCH_OUT_QUEUE": results.url,
            "RIOS_AWSBATCH_VISIBILITY_TIMEOUT": "5",
        }
        self._log = folder / "worker.log"
        self._process = None

    def start(self, **settings):
        variables = {
            f"RIOS_AWSBATCH_{name.upper()}": str(value) for name, value in settings.items()
        }
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [WORKER],
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        ready = self.reply()
        assert isinstance(ready, WorkerNotice)
        assert ready.event == "ready"
        return self._process

    def task(self, function, *arguments, number=1, python=PYTHON, name="x=1 y=2"):
        def pack(value, what):
            return self.exchange.pack(payload.dumps(value, what), what)

        return Task(
            task=number,
            name=name,
            python=python,
            cloudpickle=CLOUDPICKLE,
            function=pack(function, "f"),
            arguments=pack((arguments, {}), "a"),
        )

    def send(self, *messages):
        self.exchange.tasks.send(
            [m if isinstance(m, str) else self.exchange.encode(m) for m in messages]
        )

    def reply(self):
        """Return the next message from the worker."""
        (received,) = eventually(
            lambda: self.exchange.results.receive(1, wait=1, visibility=600), self.log
        )
        self.exchange.results.delete([received.receipt])
        return self.exchange.decode(received.body)

    def value(self):
        """Return the next result's value."""
        reply = self.reply()
        assert isinstance(reply, Result), (reply, self.log())
        return payload.loads(self.exchange.unpack(reply.payload))

    def end(self):
        """Wait for the worker's end; return its exit code."""
        return self._process.wait(30)

    def log(self):
        return self._log.read_text()

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def bench(cloud, tmp_path):
    made = Bench(cloud, tmp_path)
    yield made
    made.close()
    made.exchange.store.clear()
    for url in made.queues:
        cloud.sqs.delete_queue(QueueUrl=url)


def one_sentence(ended):
    """Assert that the worker ended with an error and one sentence on standard error; return that."""
    assert ended.returncode not in {0, -signal.SIGTERM}
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("rios-awsbatch-worker: ")
    return lines[0]


@pytest.mark.parametrize("name", ["RUN", "RUN_KEY", "BUCKET", "IN_QUEUE", "OUT_QUEUE"])
def test_a_missing_setting_is_named(bench, name):
    """Without one of its settings the worker exits non-zero and names the variable."""
    variable = f"RIOS_AWSBATCH_{name}"
    del bench.environment[variable]
    assert f"{variable} is not set" in one_sentence(ran(bench.environment))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RIOS_AWSBATCH_RUN_KEY", "not hexadecimal"),
        ("RIOS_AWSBATCH_RUN_KEY", "0" * 63),
        ("RIOS_AWSBATCH_RUN", "../other"),
        ("RIOS_AWSBATCH_VISIBILITY_TIMEOUT", "soon"),
        ("RIOS_AWSBATCH_LOG_LEVEL", "CHATTY"),
    ],
)
def test_a_bad_setting_is_named(bench, variable, value):
    """A setting that cannot be used makes the worker exit non-zero and name it, without showing a key."""
    sentence = one_sentence(ran(bench.environment | {variable: value}))
    assert variable in sentence
    assert value not in sentence or "KEY" not in variable


@pytest.mark.parametrize("name", ["IN_QUEUE", "OUT_QUEUE"])
def test_a_queue_that_does_not_exist_is_named(bench, name):
    """A queue that is not there makes the worker exit non-zero with one sentence that names it."""
    variable = f"RIOS_AWSBATCH_{name}"
    missing = bench.environment[variable] + "-gone"
    ended = ran(bench.environment | {variable: missing})
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert missing in ended.stderr.splitlines()[-1]
    assert variable in ended.stderr.splitlines()[-1]
    assert "does not exist" in ended.stderr.splitlines()[-1]


def test_no_credentials_is_said(bench):
    """Without credentials the worker exits non-zero and says so."""
    kept = {name: value for name, value in bench.environment.items() if not name.startswith("AWS_")}
    environment = (
        kept | without_aws({}) | {"AWS_ENDPOINT_URL": bench.environment["AWS_ENDPOINT_URL"]}
    )
    assert "credentials" in one_sentence(ran(environment))


def test_an_idle_worker_ends_well(bench):
    """A worker without a task for idle_timeout seconds says goodbye and exits 0."""
    bench.start(idle_timeout=1)
    assert bench.end() == 0
    gone = bench.reply()
    assert (gone.event, gone.detail) == ("gone", "no task for 1 seconds")


def test_a_stop_message_ends_it_well(bench):
    """A worker that is told that the run is over does what it holds, says goodbye and exits 0."""
    bench.start()
    bench.send(bench.task(max, 2, 3), Stop())
    assert bench.value() == 3
    assert bench.end() == 0
    assert (bench.reply().event, bench.exchange.tasks.receive(1, wait=0, visibility=1)) == (
        "gone",
        [],
    )


def test_sigterm_ends_an_idle_worker_well(bench):
    """SIGTERM ends an idle worker with exit code 0, and with it the process that computes."""
    process = bench.start()
    computing = eventually(lambda: processes_below(process.pid))
    process.send_signal(signal.SIGTERM)
    assert bench.end() == 0
    assert "SIGTERM" in bench.reply().detail
    assert not any(Path(f"/proc/{pid}").exists() for pid in computing)


def test_sigterm_sends_the_task_anew(bench, tmp_path):
    """SIGTERM during a task puts it back as if it had never been received, at once."""
    stage = Stage(tmp_path)
    process = bench.start(visibility_timeout=3600)
    bench.send(bench.task(gated_block, 1, stage.folder))
    stage.nth_call(1)
    process.send_signal(signal.SIGTERM)
    assert bench.end() == 0
    (again,) = bench.exchange.tasks.receive(10, wait=0, visibility=5)
    assert again.attempts == 1
    assert bench.exchange.decode(again.body).name == "x=1 y=2"


def shout(number):
    import os  # noqa: PLC0415 - in the worker
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    print("from print")
    sys.stderr.write("from stderr\n")
    os.write(1, b"from write\n")
    subprocess.run(["echo", "from echo"], check=True)
    return number


def test_one_line_for_each_task_and_never_the_key(bench):
    """The log has one line with run, task, block and worker for each task, what users print, and never the key."""
    bench.start(log_level="DEBUG")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    bench.send(
        *(bench.task(shout, number, number=number, name=f"block {number}") for number in (4, 5))
    )
    assert sorted([bench.value(), bench.value()]) == [4, 5]
    bench.send(Stop())
    assert bench.end() == 0
    log = bench.log()
    for number in (4, 5):
        assert (
            len(
                re.findall(
                    rf"run=by-hand task={number} block='block {number}' worker=\S+ .* done", log
                )
            )
            == 1
        )
    assert all(f"from {what}" in log for what in ("print", "stderr", "write", "echo"))
    assert bench.secret not in log


class Bomb:
    """Unpickling it leaves a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def test_another_python_is_refused_before_unpickling(bench, tmp_path):
    """A task of another Python version is answered with a sentence that names both; nothing of it is unpickled."""
    bench.start()
    bench.send(bench.task(Bomb(tmp_path / "exploded"), Bomb(tmp_path / "exploded"), python="2.7"))
    reply = bench.reply()
    assert isinstance(reply, Failure)
    assert (reply.reason, reply.error) == ("refused", "VersionMismatchError")
    assert "Main runs Python 2.7" in reply.text
    assert f"runs Python {PYTHON}" in reply.text
    assert not (tmp_path / "exploded").exists()


def test_nothing_that_is_not_authentic_is_unpickled(bench, tmp_path):
    """Forged, altered and foreign messages and payloads are refused, never unpickled; the next task is done."""
    bomb = tmp_path / "exploded"
    strange = RunKey("by-hand", secrets.token_hex(32))
    forger = Exchange(
        bench.exchange.tasks, bench.exchange.results, bench.exchange.store, strange, 700_000
    )
    good = bench.exchange.encode(bench.task(max, 2, 3))
    armed = bench.task(Bomb(bomb), Bomb(bomb))
    stored = bench.task(max, 5, 6, number=9)
    data = payload.dumps(((Bomb(bomb),), {}), "arguments")
    honest = bench.exchange.pack(payload.dumps(((5, 6), {}), "arguments"), "tasks/9", 0)
    bench.exchange.store.put("tasks/9", data)
    honest = honest.model_copy(
        update={"size": len(data)}
    )  # so that the MAC alone stands between it and the bomb
    bench.start()
    bench.send(
        "garbage",
        "rab2.by-hand.",
        cloudpickle.dumps(Bomb(bomb)).hex(),
        forger.encode(armed),
        good[:-1] + " }",
        good.replace("rab2.", "rab7."),
        stored.model_copy(update={"arguments": honest}),
        bench.task(max, 2, 3, number=10),
    )
    refused, done = sorted([bench.reply(), bench.reply()], key=lambda reply: reply.task)
    assert (refused.task, refused.error) == (9, "PayloadError")
    assert "runs/by-hand/tasks/9" in refused.text
    assert done.task == 10
    eventually(lambda: bench.log().count("ERROR") == 6, bench.log)
    assert "is damaged or forged: its MAC does not fit" in bench.log()
    assert not bomb.exists()
