"""A worker as a process, and the main side of its run, played by hand."""

import secrets
import subprocess
import sys
from pathlib import Path

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.wire import payload
from rios_plugin_awsbatch.wire.exchange import connect
from rios_plugin_awsbatch.wire.messages import Begun, Result, RunKey, Task, WorkerNotice
from rios_plugin_awsbatch.wire.runtime import pack_runtime
from rios_plugin_awsbatch.wire.versions import CLOUDPICKLE, PYTHON
from tests.support.helpers import eventually, without_aws

WORKER = str(Path(sys.executable).with_name("rios-awsbatch-worker"))
REGION = "ap-southeast-2"


class ManualRun:
    """A run with one worker, whose main side the test plays by hand."""

    def __init__(self, cloud, folder):
        self.secret = secrets.token_hex(32)
        self.key = RunKey("by-hand", self.secret)
        self.queues = [cloud.queue(), cloud.queue()]
        tasks, results = self.queues
        self.exchange = connect(
            Clients(REGION),
            tasks=tasks,
            results=results,
            bucket=cloud.bucket,
            key=self.key,
            inline_limit=700_000,
        )
        self.environment = cloud.aws.adapted(without_aws()) | {
            "RIOS_AWSBATCH_RUN": "by-hand",
            "RIOS_AWSBATCH_RUN_KEY": self.secret,
            "RIOS_AWSBATCH_BUCKET": cloud.bucket,
            "RIOS_AWSBATCH_IN_QUEUE": tasks,
            "RIOS_AWSBATCH_OUT_QUEUE": results,
            "RIOS_AWSBATCH_VISIBILITY_TIMEOUT": "5",
        }
        self._log = folder / "worker.log"
        self._process = None

    def start(self, **settings):
        ready = self.start_and_hear(**settings)
        assert isinstance(ready, WorkerNotice)
        assert ready.event == "ready"
        return self._process

    def start_and_hear(self, **settings):
        """Start the worker; return its first message."""
        self.launch(**settings)
        return self.reply()

    def launch(self, **settings):
        """Start the worker; return its process."""
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
        return self._process

    def task(self, function, *arguments, number=1, python=PYTHON, name="x=1 y=2", runtime=None):
        """Return a task; its runtime, if it has one, is a pair (files, variables)."""

        def pack(value, what):
            return self.exchange.pack(payload.dumps(value, what), what)

        return Task(
            task=number,
            name=name,
            python=python,
            cloudpickle=CLOUDPICKLE,
            function=pack(function, "f"),
            arguments=pack((arguments, {}), "a"),
            runtime=self.exchange.pack(pack_runtime(*runtime), "r") if runtime else None,
        )

    def send(self, *messages):
        self.exchange.tasks.send(
            [m if isinstance(m, str) else self.exchange.encode(m) for m in messages]
        )

    def reply(self):
        """Return the next message from the worker, but for those that say what it computes."""
        while isinstance(message := self.heard(), Begun):
            pass
        return message

    def heard(self):
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
