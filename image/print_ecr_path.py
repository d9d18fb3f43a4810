#!/usr/bin/env python3
"""Print where the stack's images go: the repository of the workers' image, or of main's, or the registry alone."""

import argparse
import sys

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.image.build import ecr_path


def main() -> None:
    """Print the path, or say in a sentence why there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--base", action="store_true", help="the registry alone, which one logs in to"
    )
    parser.add_argument(
        "--main", action="store_true", help="the repository for images of main scripts"
    )
    options = parser.parse_args()
    try:
        print(ecr_path(main=options.main, base=options.base))
    except AWSBatchException as error:
        sys.exit(f"print_ecr_path: {error}")


if __name__ == "__main__":
    main()
