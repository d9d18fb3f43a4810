"""The command ``rios-awsbatch``: a module for each group of commands, imported when one is used."""
