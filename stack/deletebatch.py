#!/usr/bin/env python3
"""Delete the CloudFormation stack and everything in it, as `rios-awsbatch stack delete` does."""

from rios_plugin_awsbatch.cli.errors import presented_errors
from rios_plugin_awsbatch.cli.stack import deletebatch

if __name__ == "__main__":
    with presented_errors("deletebatch.py"):
        deletebatch(standalone_mode=False)
