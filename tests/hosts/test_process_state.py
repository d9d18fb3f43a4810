"""The state of main's process, as it is reproduced in a worker."""

import importlib
import itertools
import pickle
import sys
import types
import warnings

import numpy as np
import pytest

from rios_plugin_awsbatch.hosts.process_state import current_state
from rios_plugin_awsbatch.hosts.rios_context import ApplyContext, close_with_apply


class RareWarning(UserWarning):
    """A warning of a module that workers may not have."""


@pytest.fixture
def gdal():
    """GDAL, with no option set and no exceptions raised before and after the test."""
    gdal = pytest.importorskip("osgeo.gdal", reason="GDAL is not installed")
    pytest.importorskip("osgeo.ogr")
    pytest.importorskip("osgeo.osr")
    before = gdal.GetUseExceptions()
    gdal.DontUseExceptions()
    yield gdal
    (gdal.UseExceptions if before else gdal.DontUseExceptions)()
    for name in ("GDAL_NUM_THREADS", "OSR_USE_NON_DEPRECATED", *SECRETS, *OF_THE_MACHINE):
        gdal.SetConfigOption(name, None)


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_PROFILE": "mine",
    "AZURE_STORAGE_SAS_TOKEN": "token",
    "GDAL_HTTP_HEADERS": "Authorization: Bearer 1",
    "GDAL_HTTP_PROXY": "http://user:word@proxy:80",
    "GDAL_HTTP_USERPWD": "user:word",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/user/key.json",
    "PGPASSWORD": "word",
}
OF_THE_MACHINE = {
    "CPL_TMPDIR": "/scratch/user",
    "GDAL_CACHEMAX": "8000",
    "GDAL_DATA": "C:\\gdal\\data",
}


def as_main(configure):
    """Return the state that a main process has after `configure`, as it arrives in a worker."""
    configure()
    return pickle.loads(pickle.dumps(current_state()))


def test_numpy_treats_errors_as_in_main_and_then_as_before():
    """Division by zero raises in a worker if it raises in main."""
    with np.errstate(divide="raise", over="ignore"):
        state = as_main(lambda: None)
    with np.errstate(all="warn"):
        with state.reproduced():
            assert (np.geterr()["divide"], np.geterr()["over"]) == ("raise", "ignore")
            np.seterr(all="ignore")
        assert set(np.geterr().values()) == {"warn"}


def test_a_mode_of_numpy_that_calls_mains_function_stays_in_main():
    """The worker keeps its own mode for that kind of error."""
    with np.errstate(divide="call"):
        state = as_main(lambda: None)
    with np.errstate(divide="ignore"), state.reproduced():
        assert np.geterr()["divide"] == "ignore"


def test_warnings_are_filtered_as_in_main_and_then_as_before():
    """All parts of a filter count, and the first filter that matches."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.filterwarnings("error", "Bad .*", UserWarning, module=__name__)
        warnings.filterwarnings("ignore", "bad luck", UserWarning)
        state = as_main(lambda: None)
        wanted = list(warnings.filters)
    before = list(warnings.filters)
    with state.reproduced():
        assert warnings.filters == wanted
        warnings.warn("bad luck", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="BAD news"):
            warnings.warn("BAD news", UserWarning, stacklevel=1)
        warnings.simplefilter("ignore")
    assert list(warnings.filters) == before


def test_filters_that_are_as_in_main_are_restored_after_a_function_has_changed_them():
    """Also where a worker had nothing to change for the task."""
    state = as_main(lambda: None)
    with warnings.catch_warnings():
        with state.reproduced():
            warnings.resetwarnings()
        assert current_state().filters == state.filters


def test_a_filter_for_a_warning_that_the_worker_does_not_know_is_left_out(monkeypatch):
    """The module of its class need not be installed in the image."""
    monkeypatch.setitem(sys.modules, "rare", types.SimpleNamespace(RareWarning=RareWarning))
    monkeypatch.setattr(RareWarning, "__module__", "rare")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RareWarning)
        state = as_main(lambda: None)
    monkeypatch.delitem(sys.modules, "rare")
    with state.reproduced():
        assert RareWarning not in {category for _, _, category, _, _ in warnings.filters}


@pytest.mark.gdal
@pytest.mark.parametrize("raises", [True, False])
def test_gdal_raises_exceptions_as_in_main(gdal, raises):
    """Whatever the worker or an earlier task has set, and it is restored."""
    (gdal.UseExceptions if raises else gdal.DontUseExceptions)()
    state = as_main(lambda: None)
    for before in (True, False):
        (gdal.UseExceptions if before else gdal.DontUseExceptions)()
        with state.reproduced():
            assert gdal.GetUseExceptions() == raises
            (gdal.DontUseExceptions if raises else gdal.UseExceptions)()
        assert gdal.GetUseExceptions() == before


@pytest.mark.gdal
@pytest.mark.parametrize("order", list(itertools.permutations(["gdal", "ogr", "osr"])))
def test_gdals_modules_are_restored_in_whatever_order_they_were_turned_on(gdal, order):
    """Before GDAL 3.7, the last one must be turned off first."""
    modules = [importlib.import_module(f"osgeo.{name}") for name in order]
    for module in modules:
        module.UseExceptions()
    raising = as_main(lambda: None)
    for module in reversed(modules):
        module.DontUseExceptions()
    quiet = as_main(lambda: None)
    with raising.reproduced():
        assert [module.GetUseExceptions() for module in modules] == [1, 1, 1]
        with quiet.reproduced():
            assert [module.GetUseExceptions() for module in modules] == [0, 0, 0]
            for module in modules:
                module.UseExceptions()
        assert [module.GetUseExceptions() for module in modules] == [1, 1, 1]
    assert [module.GetUseExceptions() for module in modules] == [0, 0, 0]


@pytest.mark.gdal
def test_options_of_gdal_are_those_of_main_during_a_task(gdal):
    """Then they are as before, whatever the function has set."""
    state = as_main(lambda: gdal.SetConfigOption("GDAL_NUM_THREADS", "2"))
    gdal.SetConfigOption("GDAL_NUM_THREADS", "3")
    with state.reproduced():
        assert gdal.GetConfigOption("GDAL_NUM_THREADS") == "2"
        gdal.SetConfigOption("OSR_USE_NON_DEPRECATED", "NO")
    assert gdal.GetConfigOption("GDAL_NUM_THREADS") == "3"
    assert gdal.GetConfigOption("OSR_USE_NON_DEPRECATED") is None


@pytest.mark.gdal
def test_an_option_from_the_environment_is_not_one_that_the_script_has_set(gdal, monkeypatch):
    """The environment of workers has its own settings."""
    monkeypatch.setenv("GDAL_NUM_THREADS", "7")
    assert "GDAL_NUM_THREADS" not in current_state().options


@pytest.mark.gdal
def test_credentials_and_what_belongs_to_mains_machine_stay_in_main(gdal):
    """The names of credentials are known, to be logged; not their values."""
    for name, value in {**SECRETS, **OF_THE_MACHINE, "GDAL_NUM_THREADS": "2"}.items():
        gdal.SetConfigOption(name, value)
    state = current_state()
    assert set(state.withheld) == SECRETS.keys()
    assert not (SECRETS.keys() | OF_THE_MACHINE.keys()) & state.options.keys()
    assert state.options["GDAL_NUM_THREADS"] == "2"
    pickled = pickle.dumps(state)
    assert not [value for value in SECRETS.values() if value.encode() in pickled]


def test_what_an_apply_has_opened_is_closed_when_a_task_of_another_comes():
    """Once, and not between tasks of the same."""
    first, second, closed = ApplyContext(), ApplyContext(), []
    with first.entered():
        close_with_apply(lambda: closed.append("first"))
    with first.entered():
        assert closed == []
    for _ in range(2):
        with second.entered():
            assert closed == ["first"]


def test_a_context_stays_the_same_object_until_the_state_changes():
    """So its pickle, which names the function's content, stays the same from round to round."""
    context = ApplyContext()
    assert context.updated() is context
    with np.errstate(divide="raise" if np.geterr()["divide"] != "raise" else "warn"):
        changed = context.updated()
    assert changed.state != context.state
    assert changed.apply_id == context.apply_id
