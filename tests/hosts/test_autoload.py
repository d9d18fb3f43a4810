"""The import hook, in fresh interpreters with doubles of RIOS on the path."""

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
    2: (
        "from rios import computemanager as m; "
        "print(type(m.getComputeWorkerManager('CW_AWSBATCH')).__module__)"
    ),
}
WITHOUT_HOOK = (
    "import sys; "
    "sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, '__name__', '') != 'RiosFinder']; "
)


def python(code, *paths, **environ):
    """Return what an interpreter prints on standard output and on standard error."""
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
    """The script imports nothing of ours, and there is no warning."""
    assert python(WHOSE[number], double(number)) == (OURS[number], "")


def test_ours_stays_when_the_script_imports_the_hosts_own():
    """A script for RIOS 1.4 may import the host's own manager, before or after asking for ours."""
    own = "from rios.parallel.aws import batch; print(batch.AWSBatchJobManager.__module__); "
    for code in (own + WHOSE[1], WHOSE[1] + "; " + own):
        said, complaints = python(code, double(1))
        assert said.split() == [OURS[1]] * 2
        assert complaints == ""


@pytest.mark.parametrize("number", [1, 2])
def test_it_can_be_turned_off(number):
    """With RIOS_AWSBATCH_AUTOLOAD=0, RIOS finds its own manager, whatever else is imported."""
    for code in (WHOSE[number], "import rios_plugin_awsbatch; " + WHOSE[number]):
        said, complaints = python(code, double(number), RIOS_AWSBATCH_AUTOLOAD="0")
        assert said not in OURS.values()
        assert complaints == ""


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("order", ["before", "after"])
def test_importing_the_package_registers_ours_too(order, number):
    """For environments that ignore .pth files: before RIOS is imported, or after."""
    by_hand, host = "import rios_plugin_awsbatch", WHOSE[number].partition(";")[0]
    code = "; ".join(
        [by_hand, WHOSE[number]] if order == "before" else [host, by_hand, WHOSE[number]]
    )
    assert python(WITHOUT_HOOK + WHOSE[number], double(number))[0] not in OURS.values()
    assert python(WITHOUT_HOOK + code, double(number)) == (OURS[number], "")


@pytest.mark.parametrize("number", [1, 2])
def test_a_script_may_import_our_manager_first(number):
    """It imports RIOS, which must not load the half-imported manager once more."""
    code = f"import {OURS[number]}; " + WHOSE[number]
    assert python(code, double(number)) == (OURS[number], "")


ASKED = {
    1: "from rios.parallel import jobmanager as m; m.getJobManagerClassByType('AWSBatch')(3)",
    2: "from rios import computemanager as m; m.getComputeWorkerManager('CW_AWSBATCH')",
}
TRIED = "\ntry: {}\nexcept Exception as error: print(type(error).__name__, error)"
IN_WORKER = {"RIOS_AWSBATCH_RUN": "20260801T120000-0badcafe"}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("first", ["", "import rios_plugin_awsbatch"])
def test_in_a_worker_rios_is_told_that_workers_start_no_workers(number, first):
    """Neither our manager nor RIOS's own starts Batch jobs from a task, and neither is loaded."""
    loaded = "\nimport sys; print('boto3' in sys.modules)"
    said, complaints = python(
        first + TRIED.format(ASKED[number]) + loaded, double(number), **IN_WORKER
    )
    sentence, heavy = said.splitlines()
    assert sentence.startswith("WorkersError Workers start no workers, and this code runs in a ")
    assert IN_WORKER["RIOS_AWSBATCH_RUN"] in sentence
    assert (heavy, complaints) == ("False", "")


def test_in_a_worker_importing_rioss_own_manager_changes_nothing():
    """A function's module may import it, before or after asking for AWS Batch."""
    own = "import rios.parallel.aws.batch"
    for code in (own + TRIED.format(ASKED[1]), TRIED.format(ASKED[1]) + "\n" + own):
        said, complaints = python(code, double(1), **IN_WORKER)
        assert said.startswith("WorkersError Workers start no workers")
        assert complaints == ""
    said, _ = python(TRIED.format(f"{own} as b; b.AWSBatchJobManager(3)"), double(1), **IN_WORKER)
    assert said.startswith("WorkersError Workers start no workers")


FIRST = [
    *(
        f"from rios_plugin_awsbatch import {name}"
        for name in ("AWSBatchJobManager", "BatchExecutor", "getStackOutputs")
    ),
    *(f"import rios_plugin_awsbatch.{name}" for name in ("cli.__main__", "worker.compute")),
    "from rios_plugin_awsbatch.hosts.registry import load_plugins as load; load()",
    "from rios_plugin_awsbatch import AWSBatchJobManager as manager; manager(3)",
    "from rios.parallel import jobmanager",
    "from rios import applier",
]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("first", FIRST)
def test_no_order_of_imports_warns(first, number):
    """Whatever a script imports or uses first: ours is registered, and nothing is said."""
    said = python(f"{first}; {WHOSE[number]}", double(number), PYTHONWARNINGS="error")
    assert said == (OURS[number], "")


@pytest.mark.parametrize("number", [1, 2])
def test_a_broken_plugin_is_a_warning(number, tmp_path):
    """If another package's entry point cannot be loaded, RIOS works and still finds ours."""
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
    """If our own package cannot be imported, RIOS can, and a warning says what is wrong."""
    (tmp_path / "boto3.py").write_text("raise ImportError('half an upgrade')")
    said, complaints = python(WHOSE[2], double(2), tmp_path)
    assert said == "rios.computemanager"
    assert "half an upgrade" in complaints


def test_without_rios_2_its_adapter_is_one_clear_error():
    """The error says what it needs."""
    lines = ["import rios_plugin_awsbatch as p", "try: import rios_plugin_awsbatch.hosts.rios2"]
    said, _ = python(
        "\n".join([*lines, "except p.AWSBatchException as error: print(error)"]), double(1)
    )
    assert said.startswith("CW_AWSBATCH needs RIOS 2.0 or later")


def test_an_interpreter_without_rios_loads_nothing_of_ours():
    """Only the hook, one small module; the package is loaded when RIOS is imported."""
    code = "import sys; print(*[m for m in sys.modules if 'rios' in m or m in ('boto3', 'pluggy')])"
    said, _ = python(code)
    assert said == "_rios_plugin_awsbatch_autoload"


@pytest.mark.parametrize(("prepare", "answer"), [("", "True"), (WITHOUT_HOOK, "False")])
def test_the_hook_says_whether_it_is_installed(prepare, answer):
    """Whichever copy of its module installed it, and whichever is asked."""
    for module in ("_rios_plugin_awsbatch_autoload", "rios_plugin_awsbatch.hosts.autoload"):
        asked = f"import importlib; m = importlib.import_module({module!r}); "
        said, _ = python(
            asked + prepare + "print(m.installed()); m.install(); print(m.installed())"
        )
        assert said.split() == [answer, "True"]


def test_this_installation_has_the_hook():
    """However the package was installed here, both files are beside it."""
    installed = {str(path) for path in importlib.metadata.files("rios-plugin-awsbatch") or []}
    assert installed >= HOOK


def build(how, folder):
    """Build a wheel, and return its path."""
    for tool in ("hatchling", "editables"):
        pytest.importorskip(tool, reason=f"{tool} is not installed here")
    code = f"import hatchling.build as b; print(b.{how}({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.parametrize("how", ["build_wheel", "build_editable"])
def test_wheels_bring_the_hook(how, tmp_path):
    """Both kinds, a user's and a developer's, have the same two files at the top."""
    with zipfile.ZipFile(build(how, tmp_path)) as files:
        assert set(files.namelist()) >= HOOK
        source = files.read("_rios_plugin_awsbatch_autoload.py")
    assert source == (ROOT / "rios_plugin_awsbatch/hosts/autoload.py").read_bytes()


def test_the_hook_has_the_same_name_in_a_wheel(tmp_path):
    """There, the package has no file for it; the module can be imported all the same."""
    code = "from rios_plugin_awsbatch.hosts import executor, autoload; print(autoload.installed())"
    for line in (
        "from rios_plugin_awsbatch.hosts.autoload import installed; print(installed())",
        code,
    ):
        assert python(line, build("build_wheel", tmp_path)) == ("True", "")
