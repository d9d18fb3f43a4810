"""What type checkers tell users of this package: nothing about what is right, all that is wrong."""

import os
import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from rios_plugin_awsbatch.overrides import SettingsOverrides
from rios_plugin_awsbatch.settings import Settings

ROOT = Path(__file__).parents[1]
# A comment `# wrong` marks each line that a checker must refuse, and no other.
SCRIPT = """\
from concurrent.futures import Executor, Future

from rios_plugin_awsbatch import BatchExecutor, Settings


def double(number: int) -> int:
    return 2 * number


def work(executor: Executor) -> list[int]:
    return list(executor.map(double, range(3)))


everything_by_default = Settings()
in_america = Settings(region="us-east-1")
large = Settings(stack="Other", vcpus=0.5, memory=2048, bucket=None, compression="zlib")
work(BatchExecutor(2))
work(BatchExecutor(max_workers=2, settings=in_america))
with BatchExecutor(2, region="us-east-1", max_attempts=1, idle_timeout=9.5) as executor:
    future: Future[int] = executor.submit(double, 1)
    tasks: int = executor.statistics().tasks

Settings(regoin="us-east-1")  # wrong
Settings(memory="2 GiB")  # wrong
Settings(compression="gzip")  # wrong
BatchExecutor(2, regoin="us-east-1")  # wrong
BatchExecutor(2, max_attempts="three")  # wrong
BatchExecutor("2")  # wrong
executor.submit(double, "1")  # wrong
in_america.regoin  # wrong
"""


def wrong_lines(text):
    return [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# wrong")]


CHECKERS = {
    # The cache of `make lint`, if there is one: without it, this takes half a minute.
    "mypy": [
        *("--strict", "--python-executable", sys.executable),
        *("--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache"),
    ],
    "pyright": ["--pythonpath", sys.executable],
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_refuses_the_wrong_lines_and_no_others(checker, tmp_path):
    """Every setting is a keyword that may be left out; a slip of the pen is none."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which(checker, path=os.pathsep.join([beside, os.environ["PATH"]]))
    if program is None:
        pytest.skip(f"{checker} is not installed")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [program, *CHECKERS[checker], script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = re.findall(r"script\.py:(\d+):(?:\d+ -)? error", done.stdout)
    assert sorted({int(line) for line in told}) == wrong_lines(SCRIPT), done.stdout + done.stderr


def test_overrides_are_the_fields_of_the_settings():
    """Each setting can be given to BatchExecutor, with the same type."""
    fields = {name: field.annotation for name, field in Settings.model_fields.items()}
    assert typing.get_type_hints(SettingsOverrides) == fields


def test_no_field_has_a_default_that_checkers_do_not_see():
    """pydantic takes `Field(None)`; type checkers then think that the field must be given."""
    source = (ROOT / "rios_plugin_awsbatch" / "settings.py").read_text()
    assert re.findall(r"Field\(\s*(?!\w+=)\S+", source) == []
