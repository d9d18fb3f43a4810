"""Prints what is in this image, as JSON; the last step of building it runs this module."""

import json

from rios_plugin_awsbatch.wire.image_tag import versions_here

if __name__ == "__main__":
    print(json.dumps(versions_here()))  # noqa: T201 - the Dockerfile redirects it into a file
