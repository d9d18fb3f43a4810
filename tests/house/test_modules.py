"""What holds for every module of the package, read from its source."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rios_plugin_awsbatch
from rios_plugin_awsbatch.wire import messages

ROOT = Path(rios_plugin_awsbatch.__file__).parent
PACKAGE = ROOT.name
TESTS = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def wing(name):
    """Return the folder of a module, or the module itself if it stands in none."""
    return name.split(".")[1]


def imported(tree):
    """Return the names of all modules that a module imports from outside, not for types alone."""
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    nodes = [node for node in ast.walk(tree) if id(node) not in for_types]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level}


def code_strings(tree):
    """Return the string constants of a module, without its docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, documented)
    }
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and value not in docstrings}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short(name):
    """A module has at most 350 lines, a class at most 200."""
    assert len(MODULES[name].read_text().splitlines()) <= 350
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ClassDef):
            assert node.end_lineno - node.lineno < 200, node.name


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is(name):
    """Each has a docstring, and defines or imports every name in __all__, once."""
    tree = TREES[name]
    assert ast.get_docstring(tree)
    offers = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    on_first_use = any(getattr(node, "name", "") == "__getattr__" for node in tree.body)
    if not offers or on_first_use:
        return
    known = {node.name for node in tree.body if hasattr(node, "name")}
    known |= {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    known |= {alias.asname or alias.name for node in imports for alias in node.names}
    assert set(offers[0]) <= known
    assert len(set(offers[0])) == len(offers[0])


def test_a_wing_is_a_folder_with_a_sentence_on_it():
    """The __init__ of a wing holds its docstring and nothing else: importing one costs nothing.

    `local` and `demo` offer their users a name, `demo` on first use.
    """
    for name, tree in TREES.items():
        if name.endswith(".__init__") and wing(name) not in {"__init__", "local", "demo"}:
            assert len(tree.body) == 1, name


def test_the_demos_job_is_loaded_on_first_use():
    """Workers import what the demo has them compute, and nothing else of it."""
    code = (
        "import sys; import rios_plugin_awsbatch.demo.indices as indices; "
        "assert 'rios_plugin_awsbatch.demo.job' not in sys.modules; "
        "from rios_plugin_awsbatch.demo import run_demo; "
        "print(run_demo.__module__, hasattr(sys.modules['rios_plugin_awsbatch.demo'], 'walk_demo'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    assert ended.stdout == "rios_plugin_awsbatch.demo.job False\n"


def test_only_messages_makes_and_reads_the_json_of_a_message():
    """Nothing else turns models into JSON or back."""
    verbs = {"model_dump_json", "model_validate_json", "validate_json", "TypeAdapter"}
    verbs |= {"validate_python", "dump_json"}
    for name, tree in TREES.items():
        if name != f"{PACKAGE}.wire.messages":
            attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert (attributes | names) & verbs == set(), name


def test_only_messages_knows_the_names_on_the_wire():
    """The wire's version, and fields that no Python object of ours has, stand in one module."""
    assert messages.WIRE_VERSION in code_strings(TREES[f"{PACKAGE}.wire.messages"])
    names = {messages.WIRE_VERSION, "kind", "mac", "inline"}
    for name, tree in TREES.items():
        if name != f"{PACKAGE}.wire.messages" and wing(name) != "local":
            assert code_strings(tree) & names == set(), name


def test_nothing_but_the_commands_speaks_of_the_embedded_aws():
    """The plugin goes the same way on both: it cannot tell them apart."""
    for name, tree in TREES.items():
        if wing(name) not in {"cli", "local"}:
            assert not re.search(r"LocalAWS|\bmoto\b", "\n".join(code_strings(tree))), name


def test_only_clients_makes_clients_of_aws():
    """Clients are counted, and their answers checked, in one place."""
    makers = {name for name, tree in TREES.items() if "boto3" in imported(tree)}
    assert makers == {f"{PACKAGE}.aws.clients"}


def test_every_package_that_is_imported_is_a_dependency():
    """What pip installs is enough: each import is ours, Python's, or a dependency's."""
    requires = importlib.metadata.requires("rios-plugin-awsbatch")
    declared = {re.match(r"[\w.-]+", line).group().lower().replace("-", "_") for line in requires}
    host = {"rios", "osgeo", "botocore", "s3transfer"}  # the hosts' own, and boto3's
    server = {"werkzeug", "flask", "yaml"}  # moto's
    for name, tree in TREES.items():
        tops = {module.partition(".")[0] for module in imported(tree)}
        unknown = tops - declared - host - server - sys.stdlib_module_names - {PACKAGE}
        assert not unknown, f"{name} imports {unknown}"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("worker.compute", {"boto3", "botocore", "pydantic"}),
        ("worker.__main__", {"rios", "moto", "click", "rich", "pluggy"}),
        ("hosts.rios1", {"moto", "click", "rich", "osgeo"}),
        ("wire.messages", {"boto3", "numpy", "cloudpickle"}),
        ("cli.__main__", {"boto3", "pydantic", "moto", "osgeo"}),
    ],
)
def test_a_process_loads_no_more_than_it_needs(module, heavy):
    """The process that computes starts without boto3, the worker without the command line."""
    code = f"import sys; import {PACKAGE}.{module}; print(*sorted({heavy!r} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


def test_test_files_import_each_other_by_their_full_names():
    """No test depends on which folders pytest happens to put on the path."""
    ours = {path.stem for path in TESTS.rglob("*.py")} - {"__init__"}
    for path in TESTS.rglob("*.py"):
        if not {"double1", "double2", "scripts"} & set(path.parts):
            bare = {module for module in imported(ast.parse(path.read_text())) if module in ours}
            assert not bare - sys.stdlib_module_names, path


def test_a_test_file_is_short():
    """A file of tests has at most 400 lines."""
    for path in TESTS.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
