"""A double of RIOS 1.4, our own code over arrays in files: its contract with job managers.

`test_contract1.py` runs over it and over the real RIOS, so that it stays true.
"""
