"""The process that `tests.support.forking` forks jobs from; it ends when its socket does.

A job's process is a child of this one, which tells its id and its exit status by the job's socket.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import types
from pathlib import Path

import boto3
import botocore.session

import rios_plugin_awsbatch.jobs.__main__
import rios_plugin_awsbatch.worker.start  # noqa: F401 - what jobs import


class Forked(BaseException):
    """Leaves `serve` in a new process, for the program that this is to be."""


def prepare():
    """Have botocore read what the jobs' clients need, once for all of them."""
    create, kept = botocore.session.create_loader, {}

    def create_loader(search_path_string=None):
        loader = create(search_path_string)
        if search_path_string is None:
            loader._cache = kept
        return loader

    botocore.session.create_loader = create_loader
    session = boto3.Session("id", "secret", region_name="ap-southeast-2")
    for service in ("sqs", "s3"):
        session.client(service)


def serve(control):
    """Fork a process for each request, and tell how each has ended.

    Raises:
        Forked: In each new process, with the path of its program.
    """
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                selector.unregister(key.fd)
                os.close(key.fd)
                pid, told = key.data
                _, status = os.waitpid(pid, 0)
                with told:
                    tell(told, os.waitstatus_to_exitcode(status))
            elif not answer(control, selector):
                return


def answer(control, selector):
    """Fork the process of the next request; return False if there is none any more."""
    head, files, _, _ = socket.recv_fds(control, 4, 2)
    if not head:
        return False
    request = control.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    told, output = socket.socket(fileno=files[0]), files[1]
    pid = os.fork()
    if pid == 0:
        for one in (control, selector, told):
            one.close()
        become(output, *json.loads(request))
    os.close(output)
    tell(told, pid)
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))
    return True


def tell(told, number):
    with contextlib.suppress(OSError):  # nobody listens any more
        told.sendall(f"{number}\n".encode())


def become(output, program, folder, environment):
    """Make this process one that has just been started."""
    gc.freeze()
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv, sys.path[0] = [program], str(Path(program).parent)
    raise Forked(program)


if __name__ == "__main__":
    try:
        prepare()
        serve(socket.socket(fileno=int(sys.argv[1])))
    except Forked as forked:
        main = types.ModuleType("__main__")
        main.__file__ = forked.args[0]
        sys.modules["__main__"] = main
        code = compile(Path(main.__file__).read_text(), main.__file__, "exec")
    else:
        sys.exit()
    exec(code, vars(main))
