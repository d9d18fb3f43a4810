"""Who asks for blocks: an executor, RIOS 1.4, RIOS 2. Modules `*_remote` run in the worker."""
