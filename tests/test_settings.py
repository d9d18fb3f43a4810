"""Settings come from arguments and the environment; a bad one is one clear sentence."""

import logging
import os
import pkgutil
import re
import subprocess
import sys

import pytest

import rios_plugin_awsbatch
from rios_plugin_awsbatch import settings as module
from rios_plugin_awsbatch.aws.region import session_region
from rios_plugin_awsbatch.errors import SettingsError
from rios_plugin_awsbatch.settings import Settings, WorkerSettings, load, region_of, variables
from tests.support.helpers import without_aws

SECRET = "5ec7e7" * 10 + "5ec7"
WORKER = {
    "RIOS_AWSBATCH_RUN": "20260801T120000-0badcafe",
    "RIOS_AWSBATCH_RUN_KEY": SECRET,
    "RIOS_AWSBATCH_BUCKET": "bucket",
    "RIOS_AWSBATCH_IN_QUEUE": "https://queue/in",
    "RIOS_AWSBATCH_OUT_QUEUE": "https://queue/out",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment that says nothing about this package and AWS, to be changed at will."""
    for name in list(os.environ):
        if name.upper().startswith(("RIOS", "AWS_")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    return monkeypatch


def refused(model=Settings, **values):
    with pytest.raises(SettingsError) as caught:
        load(model, **values)
    return str(caught.value)


def run_python(code, **environment):
    """Run code in a Python of its own, without our variables but those given."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**without_aws(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_any_variable_there_are_defaults():
    """Region and stack are RIOS's own defaults; the bucket is the stack's, queues the run's."""
    settings = load(Settings)
    assert (settings.region, settings.stack) == ("ap-southeast-2", "RIOS")
    assert (settings.bucket, settings.in_queue, settings.out_queue) == (None, None, None)
    assert settings.compression == "none"
    assert settings.max_attempts >= 1


CONFIG = """
[default]
region = eu-north-1
[profile work]
region = ca-central-1
[profile bare]
output = json
"""


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"RIOS_AWSBATCH_REGION": "us-west-1", "AWS_REGION": "us-west-2"}, ("us-west-1", None)),
        (
            {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-east-1"},
            ("us-west-2", "AWS_REGION"),
        ),
        (
            {"AWS_DEFAULT_REGION": "us-east-1", "AWS_PROFILE": "work"},
            ("us-east-1", "AWS_DEFAULT_REGION"),
        ),
        ({"AWS_PROFILE": "work"}, ("ca-central-1", "profile work")),
        ({"AWS_REGION": "", "RIOS_AWSBATCH_REGION": ""}, ("eu-north-1", "profile default")),
    ],
)
def test_the_region_is_that_of_the_session(environment, tmp_path, caplog, variables, found):
    """Our own variable comes first, then those of AWS, then the profile; nothing is said."""
    (tmp_path / "config").write_text(CONFIG)
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in variables.items():
        environment.setenv(name, value)
    region, source = found
    assert region_of(load(Settings)) == rios_plugin_awsbatch.REGION == region
    assert load(Settings, region="sa-east-1").region == "sa-east-1"
    if source is not None:
        assert session_region() == (region, source)
    assert caplog.records == []


@pytest.mark.parametrize("profile", ["", "bare", "missing"])
def test_without_any_region_rios_s_own_is_used_and_told_once(
    environment, tmp_path, caplog, profile
):
    """The line names everything that could set it; a profile that is missing is told elsewhere."""
    module._tell_region.cache_clear()
    if profile:
        (tmp_path / "config").write_text(CONFIG)
        environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        environment.setenv("AWS_PROFILE", profile)
    with caplog.at_level(logging.WARNING):
        settings = [load(Settings) for _ in range(3)]
        assert caplog.records == []  # before anything uses it
        assert list(map(region_of, settings)) == ["ap-southeast-2"] * 3
    (line,) = [record.getMessage() for record in caplog.records]
    for name in ("RIOS_AWSBATCH_REGION", "AWS_REGION", "AWS_DEFAULT_REGION", "ap-southeast-2"):
        assert name in line


def test_tasks_have_no_limit_by_default(environment):
    """A limit is the user's own; it must be one."""
    assert load(Settings).task_timeout is None
    environment.setenv("RIOS_AWSBATCH_TASK_TIMEOUT", "1.5")
    assert load(Settings).task_timeout == 1.5
    environment.setenv("RIOS_AWSBATCH_TASK_TIMEOUT", "0")
    with pytest.raises(SettingsError, match="RIOS_AWSBATCH_TASK_TIMEOUT='0' cannot be used"):
        load(Settings)


def test_a_visibility_that_cannot_be_extended_is_refused():
    """SQS hides a message for twelve hours in all, and a worker extends it after a third."""
    with pytest.raises(SettingsError, match=r"VISIBILITY_TIMEOUT=43200 .*equal to 32400"):
        load(Settings, visibility_timeout=43200)


def test_every_field_is_described():
    """The README's table is made from the descriptions."""
    for model in (Settings, WorkerSettings):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("region", "eu-central-1", "eu-central-1"),
        ("stack", "Other", "Other"),
        ("bucket", "mine", "mine"),
        ("inline_limit", "0", 0),
        ("compression", "zlib", "zlib"),
        ("visibility_timeout", "32400", 32400),
        ("max_attempts", "1", 1),
        ("idle_timeout", "0.5", 0.5),
        ("startup_timeout", "60", 60.0),
        ("memory_limit", "1048576", 1048576),
    ],
)
def test_each_field_has_a_variable(environment, field, text, value):
    """RIOS_AWSBATCH_<FIELD> sets the field; an argument comes first; an empty variable is none."""
    name = variables(Settings)[field][0]
    assert name == f"RIOS_AWSBATCH_{field.upper()}"
    default = getattr(load(Settings), field)
    environment.setenv(name, text)
    assert getattr(load(Settings), field) == value
    assert getattr(load(Settings, **{field: default or "argument"}), field) == (
        default or "argument"
    )
    environment.setenv(name, "")
    assert getattr(load(Settings), field) == default


@pytest.mark.parametrize(
    ("alias", "field", "text", "value"),
    [
        ("RIOSBucket", "bucket", "mine", "mine"),
        ("RIOSInQueue", "in_queue", "https://queue/in", "https://queue/in"),
        ("RIOSOutQueue", "out_queue", "https://queue/out", "https://queue/out"),
        ("RIOS_NOMSG_TIMEOUT", "idle_timeout", "3600", 3600.0),
    ],
)
def test_the_names_that_rios_reads_are_accepted(environment, alias, field, text, value):
    """A container made for RIOS's own worker needs no other variables; our names go before them."""
    for name, setting in WORKER.items():
        environment.setenv(name, setting)
    own = variables(WorkerSettings)[field][0]
    environment.delenv(own, raising=False)
    environment.setenv(alias, text)
    assert getattr(load(WorkerSettings), field) == value
    environment.setenv(own, "7")
    assert str(getattr(load(WorkerSettings), field)) in ("7", "7.0")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RIOS_AWSBATCH_INLINE_LIMIT", "-1"),
        ("RIOS_AWSBATCH_INLINE_LIMIT", "1048576"),
        ("RIOS_AWSBATCH_INLINE_LIMIT", "64k"),
        ("RIOS_AWSBATCH_COMPRESSION", "gzip"),
        ("RIOS_AWSBATCH_VISIBILITY_TIMEOUT", "0"),
        ("RIOS_AWSBATCH_VISIBILITY_TIMEOUT", "43201"),
        ("RIOS_AWSBATCH_VISIBILITY_TIMEOUT", "1.5"),
        ("RIOS_AWSBATCH_MAX_ATTEMPTS", "0"),
        ("RIOS_AWSBATCH_IDLE_TIMEOUT", "soon"),
        ("RIOS_AWSBATCH_IDLE_TIMEOUT", "inf"),
        ("RIOS_NOMSG_TIMEOUT", "-3"),
        ("RIOS_NOMSG_TIMEOUT", "nan"),
        ("RIOS_AWSBATCH_STARTUP_TIMEOUT", "0"),
        ("RIOS_AWSBATCH_STARTUP_TIMEOUT", "infinity"),
        ("RIOS_AWSBATCH_MEMORY_LIMIT", "1"),
    ],
)
def test_a_bad_value_is_one_sentence_with_the_variable_and_the_value(environment, name, text):
    """Whoever set the variable finds its name, its value and what it may be, on one line."""
    environment.setenv(name, text)
    sentence = refused()
    assert re.fullmatch(rf"{name}='{re.escape(text)}' cannot be used: [^\n]+\.", sentence)
    assert "pydantic" not in sentence


def test_several_bad_values_are_all_named(environment):
    """One look at the error is enough to correct all of them."""
    environment.setenv("RIOS_AWSBATCH_MAX_ATTEMPTS", "none")
    environment.setenv("RIOS_AWSBATCH_IDLE_TIMEOUT", "never")
    sentence = refused()
    assert "RIOS_AWSBATCH_MAX_ATTEMPTS='none'" in sentence
    assert "RIOS_AWSBATCH_IDLE_TIMEOUT='never'" in sentence


def test_a_bad_argument_is_shown_with_its_own_value(environment):
    """The error shows the argument that was refused, not the variable that it overrides."""
    environment.setenv("RIOS_AWSBATCH_MAX_ATTEMPTS", "3")
    assert refused(max_attempts=0).startswith("RIOS_AWSBATCH_MAX_ATTEMPTS=0 cannot be used")


def test_an_unknown_argument_is_named():
    """A slip of the pen in a script's override is an error, not a default."""
    with pytest.raises(ValueError, match="max_atempts"):
        Settings(max_atempts=5)
    sentence = refused(max_atempts=5)
    assert "max_atempts" in sentence
    assert "max_attempts" in sentence


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("RIOS_AWSBATCH_IN_QUEUE", "RIOS_AWSBATCH_OUT_QUEUE"),
        ("RIOSOutQueue", "RIOS_AWSBATCH_IN_QUEUE"),
    ],
)
def test_one_queue_without_the_other_is_refused(environment, given, missing):
    """The error names the queue that is missing."""
    environment.setenv(given, "https://queue")
    assert refused().startswith(f"{missing}: give both queue URLs or neither")


def test_a_worker_without_its_variables_names_them():
    """A worker that was started by hand says what the run would have set."""
    sentence = refused(WorkerSettings)
    for name in WORKER:
        assert f"{name} is not set" in sentence


def test_no_secret_is_shown(environment):
    """The run's key is neither in the settings' text nor in the error when it is no key."""
    for name, setting in WORKER.items():
        environment.setenv(name, setting)
    settings = load(WorkerSettings)
    assert settings.run_key == SECRET
    assert SECRET not in repr(settings) + str(settings)
    environment.setenv("RIOS_AWSBATCH_RUN_KEY", SECRET + "!")
    sentence = refused(WorkerSettings)
    assert sentence.startswith("RIOS_AWSBATCH_RUN_KEY cannot be used")
    assert SECRET not in sentence


def test_a_bad_key_is_not_shown_in_the_traceback_either():
    """What pydantic says, which holds the value, is not chained to the error."""
    code = "from rios_plugin_awsbatch.settings import *; load(WorkerSettings)"
    ended = run_python(code, **{**WORKER, "RIOS_AWSBATCH_RUN_KEY": SECRET + "!"})
    assert "SettingsError: RIOS_AWSBATCH_RUN_KEY" in ended.stderr
    assert SECRET not in ended.stderr


def test_settings_are_frozen_and_can_be_compared():
    """A run is found again by its settings, so they cannot change."""
    assert load(Settings) == load(Settings)
    assert hash(load(Settings)) == hash(load(Settings))
    with pytest.raises(Exception, match="frozen"):
        load(Settings).stack = "other"


def test_region_and_stack_name_are_read_when_asked_for(environment):
    """REGION and STACK_NAME say what the environment says now, not what it said at import."""
    assert (rios_plugin_awsbatch.REGION, rios_plugin_awsbatch.STACK_NAME) == (
        "ap-southeast-2",
        "RIOS",
    )
    environment.setenv("RIOS_AWSBATCH_REGION", "eu-central-1")
    environment.setenv("RIOS_AWSBATCH_STACK", "Other")
    assert (rios_plugin_awsbatch.REGION, rios_plugin_awsbatch.STACK_NAME) == (
        "eu-central-1",
        "Other",
    )


def test_the_package_has_its_public_names_and_no_others():
    """Each name in __all__ can be had; what is not there is an AttributeError that names it."""
    assert set(rios_plugin_awsbatch.__all__) <= set(dir(rios_plugin_awsbatch))
    for name in rios_plugin_awsbatch.__all__:
        assert getattr(rios_plugin_awsbatch, name)
    with pytest.raises(AttributeError, match="BatchExekutor"):
        rios_plugin_awsbatch.BatchExekutor  # noqa: B018


def test_nothing_is_read_at_import():
    """Importing every module works where every variable of ours is nonsense and AWS is away."""
    found = pkgutil.walk_packages(rios_plugin_awsbatch.__path__, "rios_plugin_awsbatch.")
    # RIOS 2's adapter needs RIOS; moto, in the embedded AWS's server, reads what it wants.
    others = re.compile(r".*\.(hosts\.rios2|local\.)")
    modules = [one.name for one in found if not others.match(one.name)]
    assert {"rios_plugin_awsbatch.run.run", "rios_plugin_awsbatch.cli.__main__"} <= set(modules)
    code = f"import importlib; list(map(importlib.import_module, {modules})); print('imported')"
    names = {
        name
        for model in (Settings, WorkerSettings)
        for names in variables(model).values()
        for name in names
    }
    nonsense = dict.fromkeys(names, "poison")
    ended = run_python(
        code, **nonsense, AWS_ENDPOINT_URL="poison", AWS_PROFILE="poison", AWS_CONFIG_FILE="/poison"
    )
    assert (ended.stdout, ended.stderr) == ("imported\n", "")


def test_importing_the_package_costs_little():
    """The package's names are loaded when used: importing it loads nothing of weight."""
    code = (
        "import sys; import rios_plugin_awsbatch as package; package.__version__; dir(package);"
        "heavy = {'boto3', 'botocore', 'pydantic', 'pydantic_settings', 'numpy', 'cloudpickle'};"
        "heavy |= {'rios', 'moto', 'pluggy'};"
        "print([name for name in sys.modules if name.partition('.')[0] in heavy])"
    )
    ended = run_python(code)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_a_variable_is_named_after_its_field():
    """Aliases come after a field's own variable."""
    for model in (Settings, WorkerSettings):
        for field, names in variables(model).items():
            assert names[0] == f"{module.PREFIX}{field.upper()}"
