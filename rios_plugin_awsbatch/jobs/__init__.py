"""Main scripts as Batch jobs."""
