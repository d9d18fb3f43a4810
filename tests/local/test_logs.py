"""What jobs print is in CloudWatch Logs, and on standard error if wanted."""

import re
import subprocess
import sys
from pathlib import Path


def test_output_goes_to_the_log(account):
    """Standard output and standard error of a job are in its log stream once it has ended."""
    job = account.ended(account.shell("echo to out; echo to err >&2; printf unfinished"))
    assert job["container"]["logStreamName"].startswith("riosJobDefinition/default/")
    assert account.output(job) == ["to out", "to err", "unfinished"]


def test_the_command_shows_what_workers_log(tmp_path):
    """With --logs, standard error has what functions print, after the begin of a stream's name."""
    script = tmp_path / "script.py"
    script.write_text(
        "from rios_plugin_awsbatch import BatchExecutor\n"
        "def say(number):\n"
        "    print('said', number)\n"
        "with BatchExecutor(1) as executor:\n"
        "    list(executor.map(say, range(2)))\n"
    )
    command = [Path(sys.executable).parent / "rios-awsbatch", "local", "--workers", "1"]
    for options in (["--logs"], []):
        ended = subprocess.run(
            [*command, *options, "--", "python", script],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        said = re.findall(r"^\[\w{8}\] (said \d)$", ended.stderr, re.MULTILINE)
        assert said == (["said 0", "said 1"] if options else [])
