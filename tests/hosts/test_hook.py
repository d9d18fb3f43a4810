"""The import hook: with doubles of RIOS on the path, in interpreters of their own."""

import importlib.metadata
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOOK = {"_rios_plugin_awsbatch_autoload.py", "rios_plugin_awsbatch_autoload.pth"}
OURS = {1: "rios_plugin_awsbatch.hosts.rios1", 2: "rios_plugin_awsbatch.hosts.rios2"}
WHOSE = {
    1: (
        "from rios.parallel import jobmanager as m; "
        "print(getattr(m.getJobManagerClassByType('AWSBatch'), '__module__', ''))"
    ),
    2: "from rios import computemanager as m; print(type(m.getComputeWorkerManager('CW_AWSBATCH')).__module__)",
}
WITHOUT_HOOK = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, '__name__', '') != 'RiosFinder']; "


def python(code, *paths, **environ):
    """Return what an interpreter prints and what it complains of."""
    path = os.pathsep.join(map(str, paths))
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "always", **environ},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip(), ended.stderr


def double(number):
    return HERE / f"double{number}"


@pytest.mark.parametrize("number", [1, 2])
def test_the_hosts_import_registers_ours(number):
    """Nothing of ours is imported by the script, and nobody warns."""
    assert python(WHOSE[number], double(number)) == (OURS[number], "")


def test_ours_stays_when_the_script_imports_the_hosts_own():
    """A script for RIOS 1.4 imports the host's module, before or after others."""
    own = "from rios.parallel.aws import batch; print(batch.AWSBatchJobManager.__module__); "
    for code in (own + WHOSE[1], WHOSE[1] + "; " + own):
        said, complaints = python(code, double(1))
        assert said.split() == [OURS[1]] * 2
        assert complaints == ""


@pytest.mark.parametrize("number", [1, 2])
def test_it_can_be_turned_off(number):
    """With RIOS_AWSBATCH_AUTOLOAD=0, RIOS finds what it brings itself, whatever else is imported."""
    for code in (WHOSE[number], "import rios_plugin_awsbatch; " + WHOSE[number]):
        said, complaints = python(code, double(number), RIOS_AWSBATCH_AUTOLOAD="0")
        assert said not in OURS.values()
        assert complaints == ""


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("order", ["before", "after"])
def test_importing_the_package_registers_ours_too(order, number):
    """For where no .pth is read: before RIOS is imported, or afterwards."""
    by_hand, host = "import rios_plugin_awsbatch", WHOSE[number].partition(";")[0]
    code = "; ".join(
        [by_hand, WHOSE[number]] if order == "before" else [host, by_hand, WHOSE[number]]
    )
    assert python(WITHOUT_HOOK + WHOSE[number], double(number))[0] not in OURS.values()
    assert python(WITHOUT_HOOK + code, double(number)) == (OURS[number], "")


@pytest.mark.parametrize("number", [1, 2])
def test_a_broken_plugin_is_a_warning(number, tmp_path):
    """Somebody's entry point cannot be loaded: RIOS can be imported, and has ours."""
    broken = tmp_path / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    groups = {1: "rios.jobmanagers", 2: "rios.computeworkers"}
    (broken / "entry_points.txt").write_text(
        f"[{groups[number]}]\nBroken = no_such_module:Manager\n"
    )
    said, complaints = python(WHOSE[number], double(number), tmp_path)
    assert said == OURS[number]
    assert complaints.count("no_such_module:Manager") == 1


def test_a_broken_package_is_a_warning(tmp_path):
    """Ours itself cannot be imported: RIOS can, and says what is wrong."""
    (tmp_path / "boto3.py").write_text("raise ImportError('half an upgrade')")
    said, complaints = python(WHOSE[2], double(2), tmp_path)
    assert said == "rios.computemanager"
    assert "half an upgrade" in complaints


def test_without_rios_2_its_adapter_is_one_clear_error():
    """Importing it by hand says what it needs."""
    lines = ["import rios_plugin_awsbatch as p", "try: import rios_plugin_awsbatch.hosts.rios2"]
    said, _ = python(
        "\n".join([*lines, "except p.AWSBatchException as error: print(error)"]), double(1)
    )
    assert said.startswith("CW_AWSBATCH needs RIOS 2.0 or later")


def test_an_interpreter_without_rios_loads_nothing_of_ours():
    """The hook is one small module; the package waits until RIOS is imported."""
    code = "import sys, json; print(*[name for name in sys.modules if 'rios' in name or name == 'pluggy'])"
    said, _ = python(code)
    assert said == "_rios_plugin_awsbatch_autoload"


def test_this_installation_has_the_hook():
    """However the package has been installed here, both files are beside it."""
    installed = {str(path) for path in importlib.metadata.files("rios-plugin-awsbatch") or []}
    assert installed >= HOOK


@pytest.mark.parametrize("how", ["build_wheel", "build_editable"])
def test_wheels_bring_the_hook(how, tmp_path):
    """Both kinds, a user's and a developer's: the same two files, at the top."""
    for tool in ("hatchling", "editables"):
        pytest.importorskip(tool, reason=f"{tool} is not installed here")
    code = f"import hatchling.build as b; print(b.{how}({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        assert set(files.namelist()) >= HOOK
        source = files.read("_rios_plugin_awsbatch_autoload.py")
    assert source == (ROOT / "rios_plugin_awsbatch/hosts/autoload.py").read_bytes()
