"""Who may import whom, read from the source."""

import ast
import dataclasses
import graphlib
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

# Who may know RIOS, the embedded AWS, and GDAL.
HOSTS = {"jobmanager", "rios2", "rios2block", "autoload"}
COMMANDS = {"cli", "stackcli", "commands_image", "commands_jobs", "demo"}
RASTER = {"raster", "quicklook", "demo", "rios2block"}

MAINS_SIDE = {
    "run",
    "executor",
    "live",
    "jobmanager",
    "rios2",
    "outbox",
    "inbox",
    "launch",
    "workforce",
    "resources",
}
MAINS_SIDE |= {
    "submit",
    "jobs",
    "image",
    "pace",
    "packing",
    "stacks",
    "stackevents",
    "contents",
    "parameters",
}
WORKERS_SIDE = {"worker", "storer", "hands", "process", "compute", "submission"}
BLOCKS = {"riosblock", "rios2block"}  # what adapters have workers call


@dataclasses.dataclass(frozen=True)
class Import:
    """One name of an import statement: what is imported, and in which way."""

    module: str
    when_used: bool
    for_types: bool


class _Imports(ast.NodeVisitor):
    def __init__(self, package):
        self.package, self.found, self.depth, self.types = package, [], 0, 0

    def visit_FunctionDef(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815 - ast's own names

    def visit_If(self, node):
        typed = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        self.types += typed
        for statement in node.body:
            self.visit(statement)
        self.types -= typed
        for statement in node.orelse:
            self.visit(statement)

    def visit_Import(self, node):
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node):
        base = (
            ".".join(self.package.split(".")[: len(self.package.split(".")) - node.level + 1])
            if node.level
            else ""
        )
        module = ".".join(part for part in (base, node.module) if part)
        for alias in node.names:
            inner = f"{module}.{alias.name}"
            self._add(inner if inner in SOURCES else module)

    def _add(self, module):
        self.found.append(Import(module, bool(self.depth), bool(self.types)))


def _source_files():
    """Return the path of each module of the package, by its full name."""
    files = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


SOURCES = _source_files()
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}


def imports_of(name):
    package = name if SOURCES[name].name == "__init__.py" else name.rpartition(".")[0]
    visitor = _Imports(package)
    visitor.visit(TREES[name])
    return visitor.found


IMPORTS = {name: imports_of(name) for name in SOURCES}


def short(name):
    """Return a module's name within the package: "run", or "local" for all that is in there."""
    return name.removeprefix(f"{PACKAGE}.").partition(".")[0]


def own(name, *, types=True, when_used=True):
    """Return the modules of this package that a module imports."""
    return {
        imported.module
        for imported in IMPORTS[name]
        if imported.module.partition(".")[0] == PACKAGE
        and imported.module != PACKAGE
        and (types or not imported.for_types)
        and (when_used or not imported.when_used)
    }


def reached(*names):
    """Return the short names of all modules that are imported along with these, sooner or later."""
    seen, waiting = set(), [f"{PACKAGE}.{name}" for name in names if f"{PACKAGE}.{name}" in SOURCES]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += own(name, types=False)
    return {short(name) for name in seen}


def importers_of(top):
    """Return the short names of the modules that import a top-level package."""
    return {
        short(name)
        for name, found in IMPORTS.items()
        if any(i.module.partition(".")[0] == top for i in found)
    }


def code_strings(name):
    """Return the string constants of a module, without its docstrings."""
    tree = TREES[name]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, documented)
    }
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and value not in docstrings}


def test_imports_go_in_one_direction():
    """No two modules import each other, not even by way of others, for types, or within a function."""
    graph = {name: own(name) - {name} for name in SOURCES if name != PACKAGE}
    order = list(
        graphlib.TopologicalSorter(graph).static_order()
    )  # raises CycleError, which shows the cycle
    assert {short(name) for name in order} >= {"errors", "messages", "run", "worker", "jobmanager"}


def test_the_lowest_modules_stand_alone():
    """Errors import nothing of the package; messages and payloads import errors only."""
    assert reached("errors") == {"errors"}
    assert reached("messages") == {"messages", "errors"}
    assert reached("payload") == {"payload", "errors"}


def test_a_worker_knows_nothing_of_main():
    """What runs in a container never imports what makes runs, jobs or hosts."""
    assert reached(*WORKERS_SIDE) & (MAINS_SIDE | HOSTS | COMMANDS | {"local", "registry"}) == set()
    assert reached(*BLOCKS) & (MAINS_SIDE | COMMANDS | {"local", "registry"}) == set()


def test_main_knows_nothing_of_the_worker():
    """Main needs a worker's messages, not its code; the call of a chunk is what both share."""
    assert reached(*MAINS_SIDE) & WORKERS_SIDE <= {"compute", "submission"}


def test_only_the_hosts_adapters_import_rios():
    """Everything else works where RIOS is not."""
    assert importers_of("rios") <= HOSTS


def test_only_the_embedded_aws_imports_moto():
    """moto and what its server stands on are for development and the demo."""
    for name in ("moto", "flask", "werkzeug"):
        assert importers_of(name) <= {"local"}


def test_nothing_below_the_commands_knows_the_embedded_aws():
    """The plugin goes the same way on the embedded AWS as on the real one, because it cannot tell them apart."""
    knowing = {short(name) for name in SOURCES if f"{PACKAGE}.local" in own(name)}
    assert knowing <= COMMANDS | {"local"}
    naming = {
        short(name)
        for name in SOURCES
        if re.search(r"LocalAWS|\bmoto\b", "\n".join(code_strings(name)))
    }
    assert naming <= COMMANDS | {"local"}


def test_the_embedded_aws_knows_nothing_of_the_plugin():
    """It runs jobs, whatever they are: of the package it imports the errors, and where the template is."""
    assert reached("local", "local.server") <= {"local", "errors", "shipped"}


def test_only_the_raster_job_imports_gdal():
    """GDAL is no dependency of the plugin."""
    assert importers_of("osgeo") <= RASTER


def test_nothing_imports_the_command_line():
    """The commands are the top of the package."""
    for name in COMMANDS:
        users = {short(user) for user in SOURCES if f"{PACKAGE}.{name}" in own(user)}
        assert users <= COMMANDS


def test_only_messages_makes_and_reads_the_json_of_a_message():
    """Nobody else turns models into JSON or back, or handles JSON between the two queues."""
    verbs = {
        "model_dump_json",
        "model_validate_json",
        "validate_json",
        "TypeAdapter",
        "validate_python",
        "dump_json",
    }
    for name, tree in TREES.items():
        if short(name) == "messages":
            continue
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert (attributes | names) & verbs == set(), name
    between = WORKERS_SIDE - {"submission"} | {"exchange", "run", "inbox", "outbox", "failures"}
    assert importers_of("json") & between == set()


def test_only_messages_knows_the_names_on_the_wire():
    """The wire's version and the fields that no Python object of ours has stand in one module."""
    assert messages.WIRE_VERSION in code_strings(f"{PACKAGE}.messages")
    wire = {messages.WIRE_VERSION, "kind", "mac", "inline"}
    for name in SOURCES:
        if short(name) not in ("messages", "local"):
            assert code_strings(name) & wire == set(), name


def test_every_package_that_is_imported_is_a_dependency():
    """What pip installs is enough: each import is ours, Python's, or a declared dependency's."""
    declared = [
        re.match(r"[\w.-]+", line).group()
        for line in importlib.metadata.requires("rios-plugin-awsbatch")
    ]
    names = {line.lower().replace("-", "_") for line in declared}
    host = {"rios", "osgeo", "botocore"}  # the hosts' own, and boto3's
    server = {"werkzeug", "flask"}  # moto's
    for name, found in IMPORTS.items():
        tops = {imported.module.partition(".")[0] for imported in found if not imported.for_types}
        unknown = tops - names - host - server - sys.stdlib_module_names - {PACKAGE}
        assert not unknown, f"{name} imports {unknown}"


def test_type_stubs_are_imported_for_types_only():
    """mypy's stubs of boto3 are no dependency."""
    for name, found in IMPORTS.items():
        assert [
            i.module for i in found if i.module.startswith("mypy_boto3") and not i.for_types
        ] == [], name


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("compute", {"boto3", "botocore", "pydantic"}),
        ("worker", {"rios", "moto", "click", "rich", "pluggy"}),
        ("jobmanager", {"moto", "click", "rich", "osgeo"}),
        ("messages", {"boto3", "numpy", "cloudpickle"}),
        ("cli.__main__", {"boto3", "pydantic", "moto", "osgeo"}),
    ],
)
def test_a_process_loads_no_more_than_it_needs(module, heavy):
    """The process that computes starts without boto3, the worker without the command line, and so on."""
    code = f"import sys; import {PACKAGE}.{module}; print(*sorted({heavy!r} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


def test_each_module_says_what_it_is():
    """A docstring in each; and what __all__ offers is there, once."""
    for name, tree in TREES.items():
        assert ast.get_docstring(tree), name
        defined = {node.name for node in tree.body if hasattr(node, "name")}
        assigned = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        for node in tree.body:
            if (
                isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == "__all__"
                and name != PACKAGE
            ):
                offered = ast.literal_eval(node.value)
                imported = {
                    alias.name
                    for n in tree.body
                    if isinstance(n, ast.ImportFrom)
                    for alias in n.names
                }
                assert set(offered) <= defined | assigned | imported, name
                assert len(set(offered)) == len(offered), name
