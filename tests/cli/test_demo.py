"""`rios-awsbatch demo` as a user types it; what it computes is tested with the demo."""

from rios_plugin_awsbatch.cli.demo import SCENE


def test_the_scene_is_there():
    """Without --input, the package's own scene is used."""
    assert SCENE.is_file()
