"""Which modules of main travel, with which files, and in which state."""

import importlib
import importlib.metadata
import logging
import os
import platform
import subprocess
import sys
import types

import pytest

from rios_plugin_awsbatch.errors import ModulesError
from rios_plugin_awsbatch.run.modules import LocalModules

LIMIT = 16 * 1024 * 1024


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder on the path of this process, whose modules are forgotten in the end."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, **texts):
    """Write files whose names have two underscores in place of a slash, and one of a dot."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def travelling(modules, *tops):
    """Return the texts that travel, of these modules only: pytest has more of its own."""
    files = modules.files()
    return {
        name: file.content.decode()
        for name, file in files.items()
        if name.replace(".", "/").split("/")[0] in tops
    }


def test_a_module_travels_once_it_is_imported(own):
    """What only stands there does not."""
    write(own, rab1_py="x = 1", rab2_py="x = 2")
    modules = LocalModules("", LIMIT)
    assert travelling(modules, "rab1", "rab2") == {}
    importlib.import_module("rab1")
    assert travelling(modules, "rab1", "rab2") == {"rab1.py": "x = 1"}


def test_what_is_installed_does_not_travel(own):
    """Neither the standard library, nor site-packages, nor what every image has."""
    write(own, json_py="", rios____init___py="")  # not imported from here
    names = {name.partition(".")[0].partition("/")[0] for name in LocalModules("", LIMIT).files()}
    assert names & {"json", "os", "pytest", "numpy", "rios", "rios_plugin_awsbatch"} == set()
    (own / "site-packages").mkdir()
    write(own / "site-packages", rab3_py="")
    sys.path.insert(0, str(own / "site-packages"))
    try:
        importlib.import_module("rab3")
    finally:
        del sys.path[0]
    assert travelling(LocalModules("", LIMIT), "rab3") == {}


def package(own):
    """Write a package with all that may be in one, and import it."""
    top = own / "rab4"
    for name in ("sub/deep.py", "sub/__init__.py", "data/table.csv", "not_imported.py"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    (top / "__init__.py").write_text("from . import version")
    (top / "version.py").write_text("made = 'by a build'")
    for name in (
        ".git/config",
        ".env",
        "__pycache__/x.pyc",
        "venv/pyvenv.cfg",
        "conda/conda-meta/history",
        "node_modules/x.js",
        "data/huge.tif",
    ):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("left out")
    (top / ".gitignore").write_text("*.tif\nversion.py\n")
    importlib.import_module("rab4")
    return {name.removeprefix("rab4/") for name in travelling(LocalModules("", LIMIT), "rab4")}


def test_tools_do_not_travel(own, monkeypatch):
    """An editor keeps its debugger in a hidden folder; nobody has written that for workers."""
    hidden = own / ".editor" / "libs"
    write(hidden, rab3_py="x = 3")
    monkeypatch.syspath_prepend(str(hidden))
    importlib.import_module("rab3")
    assert travelling(LocalModules("", LIMIT), "rab3") == {}
    assert travelling(LocalModules("rab3", LIMIT), "rab3") == {"rab3.py": "x = 3"}


def test_a_project_in_a_hidden_folder_travels(own, monkeypatch):
    """A build server has its checkouts in one; PYTHONPATH names a folder beside the script's."""
    library = own / ".ci" / "project" / "library"
    write(library, rab3_py="x = 3")
    script = str(own / ".ci" / "project" / "bin" / "job.py")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", script, raising=False)
    monkeypatch.syspath_prepend(str(library))
    importlib.import_module("rab3")
    assert travelling(LocalModules("", LIMIT), "rab3") == {"rab3.py": "x = 3"}


def test_what_was_compiled_for_another_system_does_not_travel(own, monkeypatch, caplog):
    """It would hide the package in the image; who names it knows better."""
    write(own, rab4____init___py="", rab4__part_so="")
    importlib.import_module("rab4")
    assert "rab4/part.so" in LocalModules("", LIMIT).files()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert travelling(LocalModules("", LIMIT), "rab4") == {}
    assert "rab4 has parts that were compiled for darwin on " in caplog.text
    assert "rab4/part.so" in LocalModules("rab4", LIMIT).files()


def test_what_was_compiled_for_another_architecture_does_not_travel(own, monkeypatch):
    """A stack of arm64 machines cannot load what a main on x86_64 has, nor the reverse."""
    write(own, rab4____init___py="", rab4__part_so="")
    importlib.import_module("rab4")
    here = {"AMD64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
    monkeypatch.setattr(sys, "platform", "linux")
    for name, architecture in here.items():
        monkeypatch.setattr(platform, "machine", lambda name=name: name)
        for stack in ("x86_64", "arm64", ""):
            found = travelling(LocalModules("", LIMIT, architecture=stack), "rab4")
            assert bool(found) == (stack in ("", architecture)), (name, stack)


def test_a_package_travels_with_its_data(own):
    """Not with hidden files, environments and what Git ignores, unless main has imported it."""
    assert package(own) == {
        "__init__.py",
        "version.py",
        "not_imported.py",
        "sub/__init__.py",
        "sub/deep.py",
        "data/table.csv",
    }


def test_a_folder_without_init_is_a_package_too(own):
    """Python takes it for a namespace."""
    (own / "rab5" / "deep").mkdir(parents=True)
    (own / "rab5" / "deep" / "module.py").write_text("")
    importlib.import_module("rab5.deep.module")
    assert set(travelling(LocalModules("", LIMIT), "rab5")) == {"rab5/deep/module.py"}


def test_links_are_followed_once(own):
    """A linked folder of a package travels; one that leads back does not end in a circle."""
    (own / "elsewhere").mkdir()
    (own / "elsewhere" / "shared.py").write_text("")
    (own / "rab6").mkdir()
    (own / "rab6" / "__init__.py").write_text("")
    (own / "rab6" / "linked").symlink_to(own / "elsewhere")
    (own / "rab6" / "again").symlink_to(own / "rab6")
    os.mkfifo(own / "rab6" / "pipe")
    importlib.import_module("rab6")
    assert set(travelling(LocalModules("", LIMIT), "rab6")) == {
        "rab6/__init__.py",
        "rab6/linked/shared.py",
    }


def test_what_a_function_imports_travels(own):
    """Main need never have imported it; a line of a text that looks like an import is none."""
    (own / "rab10").mkdir()
    write(own, rab7_py='"""\nimport rab10\n"""\ndef f():\n    from rab8 import x\n    return x')
    write(own, rab8_py="def f():\n    import json, rab9.sub as y", rab9_py="")
    importlib.import_module("rab7")
    found = travelling(LocalModules("", LIMIT), "rab7", "rab8", "rab9", "rab10")
    assert set(found) == {"rab7.py", "rab8.py", "rab9.py"}


def test_what_a_cell_imports_travels(own, monkeypatch):
    """A notebook has no file, but IPython keeps the cells."""
    write(own, rab21_py="", rab22_py="")
    notebook = types.ModuleType("__main__")
    notebook.In = ["", "def f():\n    import rab21\n    return rab21", "this is no Python"]
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    modules = LocalModules("", LIMIT)
    assert set(travelling(modules, "rab21", "rab22")) == {"rab21.py"}
    notebook.In.append("def g():\n    from rab22 import x")
    assert set(travelling(modules, "rab21", "rab22")) == {"rab21.py", "rab22.py"}


def test_workers_get_the_code_that_main_has(own):
    """An edit counts when main has loaded the module anew, however often it is looked at."""
    write(own, rab11_py="x = 1", rab12_py="x = 1")
    modules = LocalModules("", LIMIT)
    importlib.import_module("rab11")
    first = travelling(modules, "rab11")
    write(own, rab11_py="x = 22")
    assert travelling(modules, "rab11") == first
    importlib.import_module("rab12")  # the others are not read again with it
    assert travelling(modules, "rab11", "rab12") == {**first, "rab12.py": "x = 1"}
    importlib.reload(sys.modules["rab11"])
    assert travelling(modules, "rab11") == {"rab11.py": "x = 22"}
    assert modules.files() is modules.files()


def test_a_submodule_that_is_loaded_anew_counts(own):
    """And one that is written later."""
    (own / "rab13").mkdir()
    write(own, rab13__a_py="x = 1")
    (own / "rab13" / "__init__.py").write_text("")
    modules = LocalModules("", LIMIT)
    importlib.import_module("rab13.a")
    assert travelling(modules, "rab13")["rab13/a.py"] == "x = 1"
    write(own, rab13__a_py="x = 22", rab13__b_py="x = 3")
    importlib.reload(sys.modules["rab13.a"])
    assert travelling(modules, "rab13")["rab13/a.py"] == "x = 22"
    write(own, rab13__c_py="x = 4")
    importlib.invalidate_caches()
    importlib.import_module("rab13.c")
    assert travelling(modules, "rab13")["rab13/c.py"] == "x = 4"


def test_with_autoreload_an_edit_counts(own, monkeypatch):
    """IPython puts the new code into the functions of a module, which it does not load anew."""
    write(own, rab14_py="x = 1")
    modules = LocalModules("", LIMIT)
    importlib.import_module("rab14")
    monkeypatch.setitem(
        sys.modules, "IPython.extensions.autoreload", types.ModuleType("autoreload")
    )
    assert travelling(modules, "rab14") == {"rab14.py": "x = 1"}
    write(own, rab14_py="x = 22")
    assert travelling(modules, "rab14") == {"rab14.py": "x = 22"}


def test_a_module_can_be_named(own):
    """It need not be imported, nor be the user's own; `none` leaves out all others."""
    write(own, rab15_py="", rab16_py="")
    importlib.import_module("rab15")
    assert set(travelling(LocalModules("rab16", LIMIT), "rab15", "rab16")) == {
        "rab15.py",
        "rab16.py",
    }
    assert set(LocalModules("none, rab16.anything", LIMIT).files()) == {"rab16.py"}
    assert set(LocalModules("none", LIMIT).files()) == set()
    named = LocalModules("none,pluggy", LIMIT).files()
    version = importlib.metadata.version("pluggy")
    assert {"pluggy/__init__.py", f"pluggy-{version}.dist-info/METADATA"} <= set(named)


def test_a_named_module_that_is_not_there():
    """The error names the variable."""
    with pytest.raises(ModulesError, match="RIOS_AWSBATCH_MODULES names nowhere_to_be_found"):
        LocalModules("none,nowhere_to_be_found", LIMIT).files()


def test_what_workers_have_already_does_not_travel(own):
    """The files of a submission, which they fetch themselves."""
    write(own, rab17_py="")
    importlib.import_module("rab17")
    assert travelling(LocalModules("", LIMIT, elsewhere=str(own)), "rab17") == {}


def test_a_large_file_is_one_sentence(own):
    """It names module, file, size and limit, and says what to do."""
    (own / "rab18").mkdir()
    (own / "rab18" / "__init__.py").write_text("")
    with (own / "rab18" / "scene.tif").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    importlib.import_module("rab18")
    with pytest.raises(ModulesError, match=r"rab18 cannot travel .*scene.tif \(200.0 MiB\)") as one:
        LocalModules("none,rab18", LIMIT).files()
    assert "more than 16 MiB" in str(one.value)
    assert ".gitignore" in str(one.value)
    assert "\n" not in str(one.value)
    (own / ".gitignore").write_text("*.tif\n")
    assert set(LocalModules("none,rab18", LIMIT).files()) == {"rab18/__init__.py"}


def test_an_editable_install_travels_with_its_metadata(tmp_path):
    """A package may ask for its own version when it is imported."""
    source, installed = tmp_path / "project" / "src", tmp_path / "site-packages"
    info = installed / "rab_project-1.5.dist-info"
    info.mkdir(parents=True)
    (source / "rab19").mkdir(parents=True)
    (source / "rab19" / "__init__.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rab-project\nVersion: 1.5\n")
    where = f'{{"url": "file://{tmp_path}/project", "dir_info": {{"editable": true}}}}'
    (info / "direct_url.json").write_text(where)
    (installed / "rab_project.pth").write_text(str(source))
    code = (
        f"import site; site.addsitedir({str(installed)!r}); import rab19\n"
        "from rios_plugin_awsbatch.run.modules import LocalModules\n"
        "print(*sorted(LocalModules('', 10**6).files()))"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code]
        if sys.version_info >= (3, 11)
        else [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"rab-project-1.5.dist-info/METADATA", "rab19/__init__.py"} <= set(ended.stdout.split())


def test_what_travels_is_told_once(own, caplog):
    """In main's log, with its size."""
    caplog.set_level(logging.INFO, "rios_plugin_awsbatch")
    write(own, rab20_py="x" * 512)
    modules = LocalModules("none,rab20", LIMIT)
    modules.files()
    modules.files()
    assert [record.getMessage() for record in caplog.records] == [
        "modules for the workers: rab20 (0.5 KiB)"
    ]
