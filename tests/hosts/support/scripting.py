"""Start scripts as users do."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
PATIENCE = 180  # seconds, for what hangs


def command(name, *arguments):
    return [sys.executable, str(SCRIPTS / name), *map(str, arguments)]


def run_script(name, *arguments, prefix=(), environ=None, **more):
    """Run a script to its end; return its exit code and what it wrote."""
    return subprocess.run(
        [*prefix, *command(name, *arguments)],
        env={**os.environ, **more} if environ is None else {**environ, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def start_lingering(name, *arguments):
    """Start a script that stays alive after its work; return its process when the work is done."""
    process = subprocess.Popen(
        command("linger.py", SCRIPTS / name, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "done\n"
    return process
