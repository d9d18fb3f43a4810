"""What AWS and this package promise, tried on a real account: what no emulator can show.

::

    walk.walk -- for each Promise of PROMISES --> its check, with a Site ----> Outcome
                                                       |
                    queues, jobs, containers, runs, stacks: a module for each group

A check makes what it needs through the `Site`, which takes it down at the end, also after Ctrl-C.
"""
