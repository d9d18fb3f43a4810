#!/usr/bin/env python3
"""Print the repository of the stack's worker images or main scripts' images, or the registry."""

import argparse

from rios_plugin_awsbatch.image.build import ecr_path
from rios_plugin_awsbatch.programs import errors_as_sentences


def main() -> None:
    """Print the path, or say in one sentence why there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", action="store_true", help="only the registry, for logging in")
    parser.add_argument(
        "--main", action="store_true", help="the repository for main scripts' images"
    )
    options = parser.parse_args()
    with errors_as_sentences("print_ecr_path"):
        print(ecr_path(main=options.main, base=options.base))


if __name__ == "__main__":
    main()
