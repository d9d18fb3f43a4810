"""Main scripts as Batch jobs: submitted, run, listed, followed, swept."""
