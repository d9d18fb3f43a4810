#!/usr/bin/env python3
"""Deletes the stack with all that is in it, as `rios-awsbatch stack delete` does."""

from rios_plugin_awsbatch.cli.stack import deletebatch, messages_only

if __name__ == "__main__":
    with messages_only("deletebatch.py"):
        deletebatch(standalone_mode=False)
