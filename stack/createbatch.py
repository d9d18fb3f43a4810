#!/usr/bin/env python3
"""Create or modify the CloudFormation stack, as `rios-awsbatch stack create` and `modify` do."""

from rios_plugin_awsbatch.cli.errors import presented_errors
from rios_plugin_awsbatch.cli.stack import createbatch

if __name__ == "__main__":
    with presented_errors("createbatch.py"):
        createbatch(standalone_mode=False)
