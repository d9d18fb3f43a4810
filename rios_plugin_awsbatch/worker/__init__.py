"""The worker: the container's side of a run."""
