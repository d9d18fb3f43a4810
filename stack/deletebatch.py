#!/usr/bin/env python3
"""Deletes the CloudFormation stack with all that is in it; the same as `rios-awsbatch stack delete`."""

from rios_plugin_awsbatch.cli.stack import deletebatch, messages_only

if __name__ == "__main__":
    with messages_only("deletebatch.py"):
        deletebatch(standalone_mode=False)
