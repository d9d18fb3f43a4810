"""The object that names what a run owns, for who has to delete it if the run cannot."""

import json
from collections.abc import Sequence
from typing import Any, Final

from rios_plugin_awsbatch.wire.store import PayloadStore

from .owner import describe_owner

__all__ = ["INVENTORY", "REWRITE_SECONDS", "Inventory"]

INVENTORY: Final = "run.json"
REWRITE_SECONDS: Final = 300.0  # between two writes, by which main says that it is alive


class Inventory:
    """``runs/<run id>/run.json``: queues, jobs, and who made them.

    Args:
        store: The run's store.
    """

    def __init__(self, store: PayloadStore) -> None:
        self._store = store
        self._content: dict[str, Any] = {
            **describe_owner(),
            "queues": [],
            "jobs": [],
        }

    def write(
        self, *, queues: Sequence[str] | None = None, jobs: Sequence[str] | None = None
    ) -> None:
        """Store it, and say by that that main is alive; one thread at a time calls this.

        Args:
            queues: URLs of the queues that the run has created, if they have changed.
            jobs: Ids of the run's Batch jobs, likewise.
        """
        given = {"queues": queues, "jobs": jobs}
        self._content.update(
            {name: list(value) for name, value in given.items() if value is not None}
        )
        self._store.put(INVENTORY, json.dumps(self._content).encode())
