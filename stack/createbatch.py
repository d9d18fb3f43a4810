#!/usr/bin/env python3
"""Creates or modifies the stack, as `rios-awsbatch stack create` and `modify` do."""

from rios_plugin_awsbatch.cli.stack import createbatch, messages_only

if __name__ == "__main__":
    with messages_only("createbatch.py"):
        createbatch(standalone_mode=False)
