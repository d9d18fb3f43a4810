"""The CloudFormation stack: its outputs, and how it is created, modified and deleted."""
