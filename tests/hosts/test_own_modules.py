"""A script's own modules and the variables that it names are in the workers, without a word."""

import importlib
import os
import sys
import textwrap

import cloudpickle
import pytest

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.errors import ModulesError, SettingsError
from tests.hosts.support.scripting import run_script

cloudpickle.register_pickle_by_value(sys.modules[__name__])

PATIENCE = 120
PACKAGE = {
    "rab_own/__init__.py": "from .core import double, Pair, OwnError, fail\n",
    "rab_own/core.py": """
        from pathlib import Path

        class OwnError(Exception):
            pass

        class Pair:
            def __init__(self, one, two):
                self.sum = one + two

        def double(x):
            return x * int(Path(__file__).with_name("factor.txt").read_text())

        def fail():
            raise OwnError("from the module")
    """,
    "rab_own/factor.txt": "2",
    "rab_lazy.py": "def triple(x):\n    return 3 * x\n",
    "script.py": """
        import rab_own
        from rios_plugin_awsbatch import BatchExecutor

        def by_name(x):
            return rab_own.double(x)

        def inside(x):
            from rab_lazy import triple
            return triple(x)

        def summed(pair):
            return pair.sum, rab_own.Pair(pair.sum, 1)

        if __name__ == "__main__":
            with BatchExecutor(1) as executor:
                print(executor.submit(rab_own.double, 4).result())
                print(executor.submit(by_name, 4).result())
                print(executor.submit(inside, 4).result())
                total, pair = executor.submit(summed, rab_own.Pair(1, 2)).result()
                print(total, type(pair) is rab_own.Pair, pair.sum)
                try:
                    executor.submit(rab_own.fail).result()
                except rab_own.OwnError as error:
                    print(error)
    """,
}
EXPECTED = "8\n8\n12\n3 True 4\nfrom the module\n"


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


@pytest.fixture
def travelling(cloud, monkeypatch):
    """The embedded AWS for scripts whose modules travel, as they do unless somebody says no."""
    monkeypatch.delenv("RIOS_AWSBATCH_MODULES")
    return cloud


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A package of this process's own, imported."""
    write(tmp_path, {"rab_here.py": "def word():\n    return 'one'\n"})
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("rab_here")
    del sys.modules["rab_here"]


@pytest.mark.usefixtures("travelling")
def test_a_script_that_imports_its_own_modules(tmp_path):
    """Functions, classes, data, exceptions; imported at the top or inside of a function."""
    write(tmp_path, PACKAGE)
    ended = run_script(tmp_path / "script.py")
    assert (ended.stdout, ended.stderr) == (EXPECTED, "")
    write(tmp_path, {"rab_own/factor.txt": "20"})
    assert run_script(tmp_path / "script.py").stdout.startswith("80\n80\n"), "the next run's files"


@pytest.mark.usefixtures("travelling")
def test_a_module_on_pythonpath_travels_too(tmp_path):
    """It is not installed in the image either."""
    write(tmp_path / "lib", PACKAGE)
    (tmp_path / "lib" / "script.py").rename(tmp_path / "script.py")
    path = os.pathsep.join(filter(None, [str(tmp_path / "lib"), os.environ.get("PYTHONPATH")]))
    assert run_script(tmp_path / "script.py", PYTHONPATH=path).stdout == EXPECTED


def word(module):
    """Return what a module says, and in which process."""
    return importlib.import_module(module).word(), os.getpid()


@pytest.mark.usefixtures("travelling")
def test_a_module_that_is_loaded_anew_is_anew_in_the_workers(own, tmp_path):
    """In the same run; and until main loads it anew, workers have main's code."""
    with BatchExecutor(1) as executor:

        def words():
            seen = executor.submit(word, "rab_here").result(PATIENCE)
            by_reference = executor.submit(own.word).result(PATIENCE)
            assert seen[0] == by_reference
            return seen

        before = words()
        write(tmp_path, {"rab_here.py": "def word():\n    return 'another'\n"})
        assert words() == before
        importlib.reload(own)
        assert words()[0] == own.word() == "another"


@pytest.mark.usefixtures("own")
def test_a_large_module_starts_nothing(travelling, tmp_path):
    """It is one sentence, before there is anything in AWS."""
    jobs = travelling.batch.list_jobs(jobQueue=travelling.job_queue, jobStatus="SUCCEEDED")
    with (tmp_path / "rab_here.py").open("ab") as file:
        file.truncate(200 * 1024 * 1024)
    with BatchExecutor(1) as executor, pytest.raises(ModulesError, match="rab_here cannot travel"):
        executor.submit(abs, -1)
    assert travelling.objects() == travelling.run_queues() == travelling.unfinished_jobs() == []
    again = travelling.batch.list_jobs(jobQueue=travelling.job_queue, jobStatus="SUCCEEDED")
    assert len(again["jobSummaryList"]) == len(jobs["jobSummaryList"])


def variables(*names):
    return [os.environ.get(name) for name in names]


def test_variables_of_an_executor(cloud, monkeypatch):
    """`env` is a dictionary, or what RIOS_AWSBATCH_ENV may say; nothing else of main arrives."""
    monkeypatch.setenv("GDAL_CACHEMAX", "7")
    monkeypatch.setenv("VSI_CACHE_SIZE", "8")
    monkeypatch.setenv("RAB_OWN", "a,b\nc")
    names = "GDAL_CACHEMAX", "VSI_CACHE_SIZE", "RAB_OWN", "OMP_NUM_THREADS"
    with BatchExecutor(1) as executor:
        assert executor.submit(variables, *names).result(PATIENCE) == [None] * 4
    with BatchExecutor(1, env={"OMP_NUM_THREADS": "1", "RAB_OWN": ""}) as executor:
        assert executor.submit(variables, *names).result(PATIENCE) == [None, None, "", "1"]
    monkeypatch.setenv("RIOS_AWSBATCH_ENV", "gdal,RAB_OWN,OMP_NUM_THREADS=2")
    with BatchExecutor(1) as executor:
        assert executor.submit(variables, *names).result(PATIENCE) == ["7", "8", "a,b\nc", "2"]
        monkeypatch.setenv("RAB_OWN", "changed")
        assert executor.submit(variables, *names).result(PATIENCE) == ["7", "8", "changed", "2"]
    described = cloud.batch.describe_jobs(
        jobs=[
            job["jobId"]
            for job in cloud.batch.list_jobs(jobQueue=cloud.job_queue, jobStatus="SUCCEEDED")[
                "jobSummaryList"
            ]
        ]
    )
    assert "changed" not in str(described), "they are not for those who may describe jobs"


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("env", ["NOT_SET_ANYWHERE", "=1", {"A B": "secret"}, 5])
def test_variables_that_cannot_be_had_start_nothing(env):
    """The error is one sentence, and does not repeat values."""
    with pytest.raises(SettingsError, match="RIOS_AWSBATCH_ENV") as caught:
        BatchExecutor(1, env=env)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("travelling")
def test_what_works_by_luck_is_told(tmp_path):
    """Workers of the embedded AWS have what is installed here, and see this machine's files."""
    (tmp_path / "input.txt").write_text("4")
    write(
        tmp_path,
        {
            "rab_uses.py": "import packaging.version\n",
            "script.py": """
                import sys
                import numpy, pytest, rab_uses
                from rios_plugin_awsbatch import BatchExecutor

                def read(path):
                    pytest.importorskip
                    rab_uses.packaging
                    return int(open(path).read()) * numpy.ones(1)[0]

                if __name__ == "__main__":
                    with BatchExecutor(1) as executor:
                        print(*executor.map(read, [sys.argv[1]] * 2))
            """,
        },
    )
    given = {"GDAL_HTTP_TIMEOUT": "7", "GDAL_DATA": "/usr/share/gdal"}
    ended = run_script(tmp_path / "script.py", tmp_path / "input.txt", **given)
    assert ended.stdout == "4.0 4.0\n"
    told = ended.stderr.splitlines()
    assert [line.split()[0] for line in told] == [
        "GDAL_HTTP_TIMEOUT:",
        "packaging",
        "pytest",
        str(tmp_path / "input.txt"),
    ]
    assert "RIOS_AWSBATCH_ENV=gdal" in told[0]
