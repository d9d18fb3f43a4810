"""Grants that nothing in the tour uses, each with its reason."""

UNUSED = {}
