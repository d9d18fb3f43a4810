"""A double of RIOS 1.4 for tests of the contract between it and job managers: our own code, over arrays in files.

`test_contract1.py` is run over it and over the real one, so that it stays true.
"""
