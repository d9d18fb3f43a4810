"""A script that computes in children of multiprocessing, in each way that they begin and end.

Run as ``python pools.py START_METHOD``. The children end no run themselves: a run that stays open,
or warm, must end with the process that has it.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from rios_plugin_awsbatch import BatchExecutor
from rios_plugin_awsbatch.run.leases import lease
from rios_plugin_awsbatch.settings import Settings, load


def square(number):
    return number**2


def executor_way(number):
    """Leave the executor open."""
    return BatchExecutor(1).submit(square, number).result(60)


def warm_way(number):
    """Leave the workers warm, as RIOS does after each apply."""
    held = lease(load(Settings), 1)
    value = held.run.submit(square, (number,)).result(60)
    held.release(keep_warm=True)
    return value


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
    print("Pool", pool.map(warm_way, [3, 4]), flush=True)
    pool.close()
    pool.join()
    with context.Pool(2) as pool:  # whose end is SIGTERM
        print("Pool", pool.map(executor_way, [5, 6]), flush=True)
    pool.join()
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print("ProcessPoolExecutor", list(pool.map(warm_way, [7, 8])), flush=True)


if __name__ == "__main__":
    os.environ["RIOS_AWSBATCH_WARM_TIMEOUT"] = "600"  # time ends none of them
    main(sys.argv[1])
