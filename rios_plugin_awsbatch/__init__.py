"""RIOS blocks on AWS Batch workers."""
