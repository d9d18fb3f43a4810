"""`rios-awsbatch` as a process that is forked from this one, which has imported it already.

The process has its own environment, folder, standard streams and logging, as one that a shell
starts. The tests of the house start each command as a shell does, and so does `start` of the jobs'.
"""

import contextlib
import dataclasses
import functools
import gc
import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

SCRIPTS = Path(sys.executable).parent
PROGRAM = "rios-awsbatch"
# A Mac's libraries do not bear a fork, and what measures the coverage wants to be started itself.
FORKS = sys.platform == "linux" and "coverage" not in sys.modules

_CACHED = type(functools.cache(len))


@dataclasses.dataclass
class Ended:
    code: int
    out: str
    err: str


def run(*words, cwd=None, env=None, stdin=subprocess.DEVNULL):
    """Run `rios-awsbatch` to its end.

    Args:
        words: Its arguments.
        cwd: The folder in which it runs; by default this process's.
        env: All of its environment; by default this process's.
        stdin: A file descriptor.
    """
    words = [str(word) for word in words]
    if FORKS:
        return _forked(words, cwd, env, stdin)
    done = subprocess.run(
        [SCRIPTS / PROGRAM, *words],
        cwd=cwd,
        env=env,
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _forked(words, cwd, env, stdin):
    import rios_plugin_awsbatch.cli.__main__  # noqa: F401, PLC0415 - before the fork, once for all

    with contextlib.ExitStack() as files:
        out, err = (files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2))
        null = files.enter_context(Path(os.devnull).open())
        given = null.fileno() if stdin == subprocess.DEVNULL else stdin
        with warnings.catch_warnings():
            # Python 3.12 warns of threads, which the child lacks; it uses nothing of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _become_command(words, cwd, env, (given, out.fileno(), err.fileno()))
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        return Ended(os.waitstatus_to_exitcode(status), out.read(), err.read())


def _become_command(words, cwd, env, streams):
    """Run the command in this process, which ends with it."""
    code = 1
    try:
        gc.freeze()  # what is here already is no garbage of the command's
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, closefd=False)  # noqa: SIM115 - until the end
            for number, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        if cwd is not None:
            os.chdir(cwd)
        if env is not None:
            os.environ.clear()
            os.environ.update(env)
        _forget()
        sys.argv = [str(SCRIPTS / PROGRAM), *words]
        code = _exit_code(sys.modules["rios_plugin_awsbatch.cli.__main__"].main)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing may return from here
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _forget():
    """Be as a process is that has just been started."""
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(logging.WARNING)
    for name in ("SIGINT", "SIGTERM"):
        default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(getattr(signal, name), default)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("rios_plugin_awsbatch"):
            for value in vars(module).values():
                if isinstance(value, _CACHED):
                    value.cache_clear()


def _exit_code(main):
    """Return the exit status with which Python would end."""
    try:
        main()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return int(ended.code or 0)
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        return 1
    return 0
