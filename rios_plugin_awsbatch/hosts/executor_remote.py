"""The executor's half in the worker: one task for several calls of a function."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from rios_plugin_awsbatch.records import measured_block

__all__ = ["call_chunk"]


def call_chunk(
    function: Callable[..., Any],
    common: tuple[Any, ...],
    keywords: dict[str, Any],
    chunk: Sequence[tuple[Any, ...]],
) -> list[Any]:
    """Call `function` with each tuple of arguments in `chunk`; each call is a measured block.

    Args:
        function: The callable.
        common: Positional arguments that all calls have in common, before their own.
        keywords: Keyword arguments that all calls have in common.
        chunk: The arguments of each call.

    Returns:
        The results, in order. Each call gets its own copy of `common` and `keywords`.
    """
    results = []
    last = len(chunk) - 1
    for number, arguments in enumerate(chunk):
        own, own_keywords = (
            (common, keywords) if number == last else copy.deepcopy((common, keywords))
        )
        with measured_block(f"call {number}"):
            results.append(function(*own, *arguments, **own_keywords))
    return results
