"""A script that computes in children of multiprocessing, in each way that they begin and end.

Run as ``python pools.py START_METHOD``. The children end no run themselves: a run that stays open,
or warm, must end with the process that has it.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from rios_plugin_awsbatch import AWSBatchJobManager, BatchExecutor


class Square:
    """A block of RIOS 1.4 in the least form: it knows its parameters and its result."""

    def __init__(self, number):
        self.number = number

    def prepareForPickling(self):
        return self

    def getFunctionParams(self):
        return [self]

    def getFunctionResult(self, params):
        return params[0].number

    def compute(self):
        self.number = square(self.number)


def square(number):
    return number**2


def executor_way(number):
    """Leave the executor open."""
    return BatchExecutor(1).submit(square, number).result(60)


def manager_way(number):
    """Leave the workers warm, as RIOS does after each apply."""
    manager = AWSBatchJobManager(2)
    outputs = manager.runSubJobs(Square.compute, [Square(0), Square(number)])
    manager.finalise()
    return outputs[1]


def put(queue, number):
    queue.put(executor_way(number))


def main(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=put, args=(queue, 2))
    process.start()
    print("Process", queue.get(), flush=True)
    process.join()
    assert process.exitcode == 0
    pool = context.Pool(2)
    print("Pool", pool.map(manager_way, [3, 4]), flush=True)
    pool.close()
    pool.join()
    with context.Pool(2) as pool:  # whose end is SIGTERM
        print("Pool", pool.map(executor_way, [5, 6]), flush=True)
    pool.join()
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print("ProcessPoolExecutor", list(pool.map(manager_way, [7, 8])), flush=True)


if __name__ == "__main__":
    os.environ["RIOS_AWSBATCH_WARM_TIMEOUT"] = "600"  # time ends none of them
    main(sys.argv[1])
