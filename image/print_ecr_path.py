#!/usr/bin/env python3
"""Print the repository of the stack's images, as `rios-awsbatch image path` does."""

from rios_plugin_awsbatch.cli.errors import presented_errors
from rios_plugin_awsbatch.cli.image import path

if __name__ == "__main__":
    with presented_errors("print_ecr_path.py"):
        path(standalone_mode=False)
