#!/usr/bin/env python3
"""Creates the CloudFormation stack, or modifies it; the same as `rios-awsbatch stack create` and `modify`."""

from rios_plugin_awsbatch.cli.stack import createbatch, messages_only

if __name__ == "__main__":
    with messages_only("createbatch.py"):
        createbatch(standalone_mode=False)
