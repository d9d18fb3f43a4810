"""An image's versions: as a tag, and compared with those here."""

import platform

import pytest

from rios_plugin_awsbatch.wire.image_tag import (
    differences,
    image_tag,
    versions_here,
    versions_in,
)

VERSIONS = {
    "python": "3.12.3",
    "numpy": "2.3.1",
    "gdal": "3.10.3",
    "rios": "2.0.9",
    "cloudpickle": "3.1.2",
    "rios-plugin-awsbatch": "0.1.0",
}


def test_a_tag_tells_all_versions_and_is_read_again():
    """Also those of an image without RIOS."""
    assert versions_in(image_tag(VERSIONS)) == VERSIONS
    some = {"python": "3.10.1", "cloudpickle": "3.0.0"}
    assert image_tag(some) == "py3.10.1-cloudpickle3.0.0"
    assert versions_in(image_tag(some)) == some


def test_a_tag_of_an_older_image_is_read_too():
    """Such a tag tells less."""
    found = versions_in("py3.12.3-gdal3.8.4-rios2.0.9-awsbatch0.1.0")
    assert found.pop("rios-plugin-awsbatch") == "0.1.0"
    assert found == {"python": "3.12.3", "gdal": "3.8.4", "rios": "2.0.9"}


@pytest.mark.parametrize("tag", ["latest", "landcover3", "numpy2.1.0", "happy3.1", ""])
def test_any_other_tag_tells_nothing(tag):
    """Somebody's own tag is not taken for versions."""
    assert versions_in(tag) == {}


def test_versions_that_a_tag_cannot_have_are_written_so_that_it_can():
    """A development version is still the same on both sides."""
    here = {**VERSIONS, "rios": "2.1.dev0+g1234", "gdal": "3.12.0dev-abc"}
    tag = image_tag(here)
    assert not set(tag) & set("+/: ")
    assert list(differences(versions_in(tag), here)) == []


@pytest.mark.parametrize(
    ("name", "other", "differs", "decisive"),
    [
        ("python", "3.12.9", False, False),
        ("python", "3.11.3", True, True),
        ("cloudpickle", "3.0.0", False, False),
        ("cloudpickle", "2.2.1", True, True),
        ("numpy", "2.0.0", False, False),
        ("numpy", "1.26.4", True, False),
        ("gdal", "3.10.0", False, False),
        ("gdal", "3.8.4", True, False),
        ("rios", "2.0.8", False, False),
        ("rios", "2.1.0", True, False),
        ("rios-plugin-awsbatch", "0.2.0", True, False),
    ],
)
def test_what_differs_enough_to_matter(name, other, differs, decisive):
    """Decisive is that without which workers cannot read what main sends."""
    found = list(differences({**VERSIONS, name: other}, VERSIONS))
    assert [(one.name, one.image, one.decisive) for one in found] == (
        [(name, other, decisive)] if differs else []
    )


def test_the_decisive_differences_come_first():
    """One sentence has place for one of them."""
    first, *_ = differences({**VERSIONS, "gdal": "3.8.4", "python": "3.11.3"}, VERSIONS)
    assert str(first) == "Python 3.11.3, and here it is 3.12.3"


def test_what_only_one_side_has_is_not_compared():
    """Main needs neither GDAL nor RIOS."""
    assert list(differences(VERSIONS, {"python": "3.12.0"})) == []


def test_the_versions_here():
    """Python's is known without an installed distribution."""
    found = versions_here()
    assert found["python"] == platform.python_version()
    assert {"numpy", "cloudpickle", "rios-plugin-awsbatch"} <= found.keys()
