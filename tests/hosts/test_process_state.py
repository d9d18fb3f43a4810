"""The state of main's process, as it is reproduced in a worker."""

import contextlib
import dataclasses
import importlib
import importlib.util
import itertools
import os
import pickle
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from rios_plugin_awsbatch.hosts.process_state import current_state
from rios_plugin_awsbatch.hosts.rios_context import ApplyContext, close_with_apply
from tests.support.alone import alone

try:
    from osgeo import gdal, ogr, osr
except ImportError:
    gdal = ogr = osr = None

NAMES = ["gdal", "ogr", "osr"]
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_PROFILE": "mine",
    "AZURE_STORAGE_SAS_TOKEN": "token",
    "GDAL_HTTP_HEADERS": "Authorization: Bearer 1",
    "GDAL_HTTP_PROXY": "http://user:word@proxy:80",
    "GDAL_HTTP_USERPWD": "user:word",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/user/key.json",
    "LIST_OF_SCENES": "https://host/list?a=1&X-Amz-Signature=12ab",
    "PGPASSWORD": "word",
    "TILE_SERVER": "https://ab12cd@host/",
}
OF_THE_MACHINE = {
    "CPL_TMPDIR": "/scratch/user",
    "GDAL_CACHEMAX": "8000",
    "GDAL_DATA": "C:\\gdal\\data",
}
ORDINARY = {
    "AWS_NO_SIGN_REQUEST": "YES",
    "AWS_S3_ENDPOINT": "minio:9000",
    "GDAL_HTTP_USERAGENT": "me@host",
    "GDAL_NUM_THREADS": "2",
}


def with_gdal(test):
    """Mark a test that needs GDAL, and changes its state."""
    absent = importlib.util.find_spec("osgeo") is None
    return pytest.mark.gdal(pytest.mark.skipif(absent, reason="GDAL is not installed")(alone(test)))


def as_main():
    """Return the state of this process as it arrives in a worker."""
    return pickle.loads(pickle.dumps(current_state()))


def raising():
    """Return which of GDAL's modules raise exceptions."""
    return [name for name, on in zip(NAMES, current_state().raises.values(), strict=True) if on]


class BlockError(Exception):
    """The error of a function."""


@contextlib.contextmanager
def failing(state):
    """Reproduce a state for a function that raises."""
    with contextlib.suppress(BlockError), state.reproduced():
        yield
        raise BlockError


def test_numpy_treats_errors_as_in_main_and_then_as_before():
    """Division by zero raises in a worker if it raises in main."""
    with np.errstate(divide="raise", over="ignore"):
        state = as_main()
    with np.errstate(all="warn"):
        with failing(state):
            assert (np.geterr()["divide"], np.geterr()["over"]) == ("raise", "ignore")
            np.seterr(all="ignore")
            np.seterrcall(print)
        assert set(np.geterr().values()) == {"warn"}
        assert np.geterrcall() is None


def test_a_mode_of_numpy_that_calls_mains_function_stays_in_main():
    """The worker keeps its own mode for that kind of error."""
    with np.errstate(divide="call"):
        state = as_main()
    with np.errstate(divide="ignore"), state.reproduced():
        assert np.geterr()["divide"] == "ignore"


def test_warnings_are_filtered_as_in_main_and_then_as_before():
    """All parts of a filter count, and the first filter that matches."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.filterwarnings("error", "Bad .*", UserWarning, module=__name__)
        warnings.filterwarnings("ignore", "bad luck", UserWarning)
        state = as_main()
        wanted = list(warnings.filters)
    before = list(warnings.filters)
    with failing(state):
        assert warnings.filters == wanted
        warnings.warn("bad luck", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="BAD news"):
            warnings.warn("BAD news", UserWarning, stacklevel=1)
        warnings.simplefilter("ignore")
    assert list(warnings.filters) == before


def test_filters_that_are_as_in_main_are_restored_after_a_function_has_changed_them():
    """Also where a worker had nothing to change for the task."""
    state = as_main()
    with warnings.catch_warnings():
        with failing(state):
            warnings.resetwarnings()
        assert current_state().filters == state.filters


class RareWarning(UserWarning):
    """A warning of a module that workers may not have."""


def test_a_filter_for_a_warning_that_the_worker_does_not_know_is_left_out(monkeypatch):
    """The module of its class need not be installed in the image."""
    monkeypatch.setitem(sys.modules, "rare", types.SimpleNamespace(RareWarning=RareWarning))
    monkeypatch.setattr(RareWarning, "__module__", "rare")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RareWarning)
        state = as_main()
    monkeypatch.delitem(sys.modules, "rare")
    with state.reproduced():
        assert RareWarning not in {category for _, _, category, _, _ in warnings.filters}


@with_gdal
def test_gdal_raises_exceptions_as_in_main():
    """Whatever the worker or an earlier task has set, and it is restored."""
    states = {}
    for raises in (True, False):
        (gdal.UseExceptions if raises else gdal.DontUseExceptions)()
        states[raises] = as_main()
    for before, raises in itertools.product((True, False), (True, False)):
        (gdal.UseExceptions if before else gdal.DontUseExceptions)()
        with failing(states[raises]):
            assert gdal.GetUseExceptions() == raises
            (gdal.DontUseExceptions if raises else gdal.UseExceptions)()
        assert gdal.GetUseExceptions() == before


@with_gdal
def test_gdals_modules_are_restored_in_whatever_order_they_were_turned_on():
    """Before GDAL 3.7, the last one must be turned off first."""
    quiet = as_main()
    for main, task in itertools.product(itertools.permutations(NAMES), repeat=2):
        modules = [importlib.import_module(f"osgeo.{name}") for name in main]
        for module in modules:
            module.UseExceptions()
        loud = as_main()
        for module in reversed(modules):
            module.DontUseExceptions()
        with failing(loud):
            assert raising() == NAMES
            with failing(quiet):
                assert raising() == []
                for name in task:
                    importlib.import_module(f"osgeo.{name}").UseExceptions()
            assert raising() == NAMES
        assert raising() == []


@with_gdal
@pytest.mark.parametrize("name", NAMES)
def test_what_raises_in_main_raises_in_a_worker(name):
    """Also if main's GDAL has a flag for each module, and the worker's one for all (since 3.7)."""
    raises = {f"osgeo.{one}": one == name for one in NAMES}
    state = dataclasses.replace(as_main(), raises=raises)
    for _ in range(2):
        with failing(state):
            assert name in raising()
        assert raising() == []


@with_gdal
def test_what_a_task_turns_on_is_not_on_in_the_next_one():
    """Be it a module that main has not even loaded."""
    for module in (ogr, osr):
        del sys.modules[module.__name__]
    state = as_main()
    sys.modules.update({module.__name__: module for module in (ogr, osr)})
    for _ in range(2):
        with state.reproduced():
            assert raising() == []
            for module in (osr, ogr, gdal):
                module.UseExceptions()
    assert raising() == []


@with_gdal
def test_a_task_may_turn_exceptions_off_and_on_itself():
    """The stack of error handlers that GDAL 3.6 keeps is the worker's, not that of main."""
    for module in (gdal, ogr, osr):
        module.UseExceptions()
    loud = as_main()
    for module in (osr, ogr, gdal):
        module.DontUseExceptions()
    for module in (osr, ogr, gdal):
        module.UseExceptions()
    for _ in range(2):
        with loud.reproduced():
            gdal.DontUseExceptions()
            gdal.UseExceptions()
        assert raising() == NAMES


@with_gdal
def test_gdal_does_not_warn_of_a_decision_that_main_has_made():
    """Since GDAL 3.7, it warns in every process that has not said whether it is to raise."""
    warnings.simplefilter("error")
    quiet = as_main()
    with quiet.reproduced():
        assert gdal.Open("/none") is None


@with_gdal
def test_options_of_gdal_are_those_of_main_during_a_task():
    """Then they are as before, whatever the function has set."""
    gdal.SetConfigOption("GDAL_NUM_THREADS", "2")
    gdal.SetThreadLocalConfigOption("GDAL_HTTP_TIMEOUT", "5")
    state = as_main()
    gdal.SetConfigOption("GDAL_NUM_THREADS", "3")
    gdal.SetThreadLocalConfigOption("GDAL_HTTP_TIMEOUT", None)
    before = current_state().options
    with failing(state):
        assert gdal.GetConfigOption("GDAL_NUM_THREADS") == "2"
        assert gdal.GetConfigOption("GDAL_HTTP_TIMEOUT") == "5"
        gdal.SetConfigOption("OSR_USE_NON_DEPRECATED", "NO")
        gdal.SetThreadLocalConfigOption("GDAL_NUM_THREADS", "4")
        gdal.SetConfigOption("GDAL_HTTP_TIMEOUT", None)
    assert current_state().options == before


@with_gdal
def test_an_option_from_the_environment_is_not_one_that_the_script_has_set():
    """The environment of workers has its own settings."""
    os.environ["GDAL_NUM_THREADS"] = "7"
    assert gdal.GetConfigOption("GDAL_NUM_THREADS") == "7"
    assert "GDAL_NUM_THREADS" not in current_state().options


@with_gdal
def test_credentials_and_what_belongs_to_mains_machine_stay_in_main():
    """The names of credentials are known, to be logged; not their values."""
    for name, value in {**SECRETS, **OF_THE_MACHINE, **ORDINARY}.items():
        gdal.SetConfigOption(name, value)
    state = current_state()
    assert set(state.withheld) == SECRETS.keys()
    assert state.options == ORDINARY
    pickled = pickle.dumps(state)
    assert not [value for value in SECRETS.values() if value.encode() in pickled]


@alone
def test_what_an_apply_has_opened_is_closed_when_a_task_of_another_comes():
    """Once, and not between tasks of the same; an error of closing is not one of that task."""
    first, second, closed = ApplyContext(), ApplyContext(), []
    with first.entered():
        close_with_apply(lambda: closed.append("first"))
        close_with_apply(lambda: closed[1])
    with first.entered():
        assert closed == []
    for _ in range(2):
        with second.entered():
            assert closed == ["first"]


@alone
def test_another_apply_finds_environment_and_folder_as_the_first_one_did():
    """What a function has set in a worker, it sees in the same apply only."""
    os.environ["HOME"] = folder = str(Path.cwd())
    first, second = ApplyContext(), ApplyContext()
    with first.entered():
        os.environ["OF_FIRST"] = os.environ["HOME"] = "changed"
        os.chdir("/")
    with first.entered():
        assert os.environ["OF_FIRST"] == "changed"
    with second.entered():
        assert "OF_FIRST" not in os.environ
        assert os.environ["HOME"] == str(Path.cwd()) == folder


def test_a_context_stays_the_same_object_until_the_state_changes():
    """So its pickle, which names the function's content, stays the same from round to round."""
    context = ApplyContext()
    assert context.updated() is context
    with np.errstate(divide="raise" if np.geterr()["divide"] != "raise" else "warn"):
        changed = context.updated()
    assert changed.state != context.state
    assert changed.apply_id == context.apply_id
