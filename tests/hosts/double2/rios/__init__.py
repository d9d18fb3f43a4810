"""A double of RIOS 2, our own code over arrays in files: its contract with compute workers.

`test_contract2.py` runs over it and over the real RIOS, so that it stays true.
"""
