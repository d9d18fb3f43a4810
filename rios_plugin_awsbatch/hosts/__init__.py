"""Who asks for blocks to be computed: an executor, RIOS 1.4, RIOS 2; each with its half in the worker beside it."""
