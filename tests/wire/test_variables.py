"""What `env` may say, and which variables it stands for."""

import pytest

from rios_plugin_awsbatch.errors import SettingsError
from rios_plugin_awsbatch.wire.variables import env_items, resolved

HERE = {
    "AWS_REQUEST_PAYER": "requester",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.vrt",
    "GDAL_CACHEMAX": "7",
    "GDAL_DATA": "/usr/share/gdal",
    "GDAL_HTTP_HEADERS": "Authorization: Bearer x",
    "GDAL_HTTP_PROXY": "http://me:secret@proxy",
    "GDAL_HTTPS_PROXY": "me:secret@proxy:8080",
    "HOME": "/home/me",
    "OMP_NUM_THREADS": "2",
    "OWN": "own",
    "PROJ_NETWORK": "ON",
    "VSI_CACHE": "TRUE",
}


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ("", {}),
        ("OWN", {"OWN": "own"}),
        ("OWN=other", {"OWN": "other"}),
        ("NEW=a=b", {"NEW": "a=b"}),
        ("NEW=", {"NEW": ""}),
        (" OWN , NEW=1,", {"OWN": "own", "NEW": "1"}),
        ("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.vrt"}),
        ("NEW=one\ntwo", {"NEW": "one\ntwo"}),
        ({"NEW": "a,b", "OMP_NUM_THREADS": 1}, {"NEW": "a,b", "OMP_NUM_THREADS": "1"}),
        (["OWN", "NEW=a,b"], {"OWN": "own", "NEW": "a,b"}),
        # Who names it means it.
        ("AWS_SECRET_ACCESS_KEY", {"AWS_SECRET_ACCESS_KEY": "secret"}),
        ("GDAL_DATA=/opt/gdal", {"GDAL_DATA": "/opt/gdal"}),
    ],
)
def test_names_and_values(given, variables):
    """A name stands for its value here, whatever that has in it."""
    assert resolved(env_items(given), HERE) == variables


def test_gdal_stands_for_what_gdal_and_rasterio_read():
    """But for credentials, and for paths of this machine."""
    assert resolved(env_items("gdal"), HERE) == {
        "AWS_REQUEST_PAYER": "requester",
        "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.vrt",
        "GDAL_CACHEMAX": "7",
        "OMP_NUM_THREADS": "2",
        "PROJ_NETWORK": "ON",
        "VSI_CACHE": "TRUE",
    }


def test_what_is_named_wins_over_gdal():
    """Later items win."""
    assert resolved(env_items("gdal,GDAL_CACHEMAX=9"), HERE)["GDAL_CACHEMAX"] == "9"


@pytest.mark.parametrize(
    "given", ["=1", "A B=1", "A B", {"A=B": "1"}, {"A": None}, {1: "1"}, 5, [5]]
)
def test_what_names_no_variable_is_refused(given):
    """The error does not repeat the value, which may be secret."""
    with pytest.raises(ValueError, match=r"variable|text") as caught:
        env_items(given)
    assert "=1" not in str(caught.value)


@pytest.mark.parametrize("given", ["NOWHERE", "NEW=.tif,.vrt"])
def test_a_name_without_a_value_here_is_one_sentence(given):
    """The rest of a value behind its comma looks like a name: the error thinks of that."""
    with pytest.raises(SettingsError, match=r"is not set here.* has a comma"):
        resolved(env_items(given), HERE)


def test_a_value_that_no_process_can_have_is_refused():
    """Linux limits a variable to 128 KiB."""
    assert resolved(env_items({"LONG": "x" * 100_000}), {})
    with pytest.raises(SettingsError, match=r"LONG .* has 131077 bytes"):
        resolved(env_items({"LONG": "x" * 131_072}), {})
