"""The README's example runs, its settings are those of the model, and its commands exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rios_plugin_awsbatch.settings import Settings, variables

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()


def settings_table() -> str:
    """Return the table of settings that the README must have."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, names in variables(Settings).items():
        field = Settings.model_fields[name]
        default = "" if field.default in (None, "", ()) else f"`{field.default}`"
        lines.append(
            f"| {', '.join(f'`{one}`' for one in names)} | {default} | {field.description} |"
        )
    return "\n".join(lines)


def console_commands() -> list[str]:
    """Return the commands in the README's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_settings_table():
    """The table of settings lists each setting with its variables, its default and its meaning."""
    assert settings_table() in README, f"The table must be:\n{settings_table()}"


@pytest.mark.parametrize(
    "command", [one for one in console_commands() if not one.startswith("rios-awsbatch")]
)
def test_ci_runs_the_set_up_commands(command: str):
    """CI runs every command of the README that sets something up."""
    assert command in CI.splitlines()


def test_example_runs_on_the_embedded_aws(tmp_path: Path):
    """The README's command runs the README's example, which prints a line for each block."""
    (example,) = re.findall(r"<!-- example: .*?-->\n```python\n(.*?)```", README, re.DOTALL)
    (command,) = [one for one in console_commands() if one.startswith("rios-awsbatch local")]
    (tmp_path / "example.py").write_text(example)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        f"block {n}" for n in range(16)
    ]


def test_the_commands_of_the_table_exist():
    """Every command in the README's table of commands shows its help."""
    scripts = Path(sys.executable).parent
    for command in re.findall(
        r"^\| `(rios-awsbatch[a-z -]*?)(?: -- COMMAND)?` \|", README, re.MULTILINE
    ):
        program, *rest = command.split()
        subprocess.run([scripts / program, *rest, "--help"], check=True, capture_output=True)


DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("C*.md")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_prose_is_wrapped(path: Path):
    """Lines of prose have up to 100 characters; tables, code and links cannot be wrapped."""
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "!["))]
    assert [line for line in lines if len(line) > 100 and "](" not in line] == []
