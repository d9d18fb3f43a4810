"""A double of RIOS 2 for tests of the contract between it and compute workers: our own code, over arrays in files.

`test_contract2.py` is run over it and over the real one, so that it stays true.
"""
