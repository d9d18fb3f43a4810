"""The command `rios-awsbatch`."""
