#!/usr/bin/env python3
"""Prints the repository that the stack's images go to, as `rios-awsbatch image path` does."""

from rios_plugin_awsbatch.cli.image import path
from rios_plugin_awsbatch.cli.stack import messages_only

if __name__ == "__main__":
    with messages_only("print_ecr_path.py"):
        path(standalone_mode=False)
