"""Main's side of a run."""
