"""Where RIOS 1.4 keeps its own manager for AWS Batch."""
