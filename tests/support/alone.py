"""Tests that change the state of their process, each in a process of its own."""

import base64
import functools
import os
import pickle
import subprocess
import sys

PATIENCE = 60
CALL = """
import base64, importlib, pickle, sys
module, name, given = pickle.loads(base64.b64decode(sys.argv[1]))
getattr(importlib.import_module(module), name).__wrapped__(**given)
"""


def alone(test):
    """Have a test run in a process of its own; its arguments must be ones that can be pickled."""

    @functools.wraps(test)
    def wrapper(**given):
        what = base64.b64encode(pickle.dumps((test.__module__, test.__name__, given))).decode()
        ended = subprocess.run(
            [sys.executable, "-c", CALL, what],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr

    return wrapper
