"""Jobs of the embedded AWS that are forked from a process that has imported their programs.

`factory` is for `LocalAWS(middleware="tests.support.forking:factory")`. A worker then needs a third
of the CPU time to start. It has the environment, the folder, the output and the session that its
job would have, but not the command line. Jobs with other programs, or with another Python's
environment, are started as they always are.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

from rios_plugin_awsbatch.local import processes

TEMPLATE = Path(__file__).with_name("template_process.py")
PROGRAMS = {"rios-awsbatch-worker", "rios-awsbatch-main"}


def factory(app):
    """Return the application of a server that forks its jobs."""
    if sys.platform == "linux" and not any(name.startswith("COVERAGE_") for name in os.environ):
        processes.subprocess = SimpleNamespace(
            Popen=_Popener(),
            PIPE=subprocess.PIPE,
            STDOUT=subprocess.STDOUT,
            DEVNULL=subprocess.DEVNULL,
            TimeoutExpired=subprocess.TimeoutExpired,
        )
    return app


def of_python(environment):
    """Return the variables that a Python reads when it starts."""
    prefixes = ("PYTHON", "LC_", "LANG", "LD_", "PATH", "HOME", "TZ")
    return {name: value for name, value in environment.items() if name.startswith(prefixes)}


class _Popener:
    """Starts jobs, in place of `subprocess.Popen`."""

    def __init__(self):
        self._starting = threading.Lock()  # guards the other attributes, and the template's socket
        self._environment = None
        self._socket = None

    def __call__(self, command, cwd, env, **more):
        if command[0] in PROGRAMS and len(command) == 1:
            program = shutil.which(command[0], path=env["PATH"])
            with self._starting:
                if program and self._is_template_for(env):
                    return _Forked(self._socket, program, str(cwd), dict(env))
        return subprocess.Popen(command, cwd=cwd, env=env, **more)

    def _is_template_for(self, env):
        """Say whether a job with this environment can be forked; start the template if need be."""
        if self._socket is None:
            self._environment = of_python(env)
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with theirs:
                subprocess.Popen(
                    [sys.executable, str(TEMPLATE), str(theirs.fileno())],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
        return of_python(env) == self._environment


class _Forked:
    """A forked process; what `JobProcess` needs of a `Popen`."""

    def __init__(self, template, program, folder, environment):
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        request = json.dumps([program, folder, environment]).encode()
        with theirs, os.fdopen(writing):
            socket.send_fds(template, [len(request).to_bytes(4, "big")], [theirs.fileno(), writing])
            template.sendall(request)
        self.stdout = os.fdopen(reading, "rb")
        self._lines = ours.makefile("r")
        ours.close()
        self.pid = int(self._lines.readline())
        self.returncode = None
        self._ended = threading.Event()
        threading.Thread(target=self._await_end, name=f"end-{self.pid}", daemon=True).start()

    def _await_end(self):
        # Nothing, if the template is dead: then all of them are.
        self.returncode = int(self._lines.readline() or -signal.SIGKILL)
        self._lines.close()
        self._ended.set()

    def wait(self, timeout=None):
        """Wait for the end of the process; return as `Popen.wait` does."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("a job", timeout)
        return self.returncode

    def poll(self):
        """Return the exit status of a process that somebody has waited for, else None."""
        return self.returncode

    def terminate(self):
        """Send SIGTERM."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
