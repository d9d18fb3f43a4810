"""The tasks that a worker holds, shared by its threads."""

import signal
import threading

import pytest

from rios_plugin_awsbatch.wire.messages import Payload, Task
from rios_plugin_awsbatch.worker.inflight import Ending, HeldTask, InFlight

PATIENCE = 60
NOTHING = Payload(mac="0" * 64, size=0, inline="")
OVER = Ending("the run is over")
TOLD = Ending("told to")


def held(number):
    task = Task(
        task=number, name="", python="3.11", cloudpickle=3, function=NOTHING, arguments=NOTHING
    )
    return HeldTask(task, f"receipt {number}", 1)


@pytest.fixture
def in_flight():
    return InFlight()


def received(in_flight, *numbers):
    """Let tasks be received and wait for their turn."""
    tasks = [held(number) for number in numbers]
    assert in_flight.hold(tasks)
    for task in tasks:
        in_flight.add_waiting(task)
    return tasks


def test_tasks_are_begun_in_the_order_in_which_they_came(in_flight):
    """What waits is begun one by one, and held until it is dropped."""
    first, second = received(in_flight, 1, 2)
    assert in_flight.waiting == 2
    assert in_flight.begin_next() == first
    in_flight.finish()
    assert in_flight.begin_next() == second
    assert in_flight.waiting == 0
    assert in_flight.held() == [first, second]
    in_flight.drop([first])
    assert in_flight.held() == [second]


def test_a_worker_that_holds_a_task_is_not_idle(in_flight):
    """Being idle is counted from the last task's end."""
    (task,) = received(in_flight, 1)
    assert in_flight.idle_seconds == 0
    in_flight.drop([task])
    assert in_flight.idle_seconds > 0


def test_what_is_handed_back_waits_no_more(in_flight):
    """A task that another worker is to have cannot be begun, but is held until it is sent."""
    first, second = received(in_flight, 1, 2)
    in_flight.begin_next()
    assert in_flight.take_waiting() == [second]
    assert in_flight.waiting == 0
    assert in_flight.held() == [first, second]


def test_a_worker_computes_what_waits_before_it_ends(in_flight):
    """Nothing more is fetched, and what waits is done first."""
    (task,) = received(in_flight, 1)
    in_flight.end(OVER)
    assert in_flight.wait_until_due() == "end"
    assert not in_flight.hold([held(2)])
    assert in_flight.begin_next() == task
    in_flight.finish()
    assert in_flight.begin_next() is None
    assert in_flight.ending == OVER


def test_an_interrupted_worker_begins_nothing(in_flight):
    """What waits is for other workers; why the worker ends is what interrupted it."""
    received(in_flight, 1)
    in_flight.end(OVER)
    in_flight.interrupt(TOLD)
    assert in_flight.begin_next() is None
    assert in_flight.interrupted
    assert in_flight.ending == TOLD


def test_the_first_reason_to_end_counts(in_flight):
    """An ending does not take the place of an earlier one of its kind."""
    in_flight.end(OVER)
    in_flight.end(TOLD)
    assert in_flight.ending == OVER
    in_flight.interrupt(TOLD)
    in_flight.interrupt(OVER)
    assert in_flight.ending == TOLD


@pytest.mark.parametrize("method", ["end", "interrupt"])
def test_an_ending_wakes_all_who_wait(in_flight, method):
    """Neither the thread that fetches nor the one that computes waits on."""
    (task,) = received(in_flight, 1)
    assert in_flight.begin_next() == task
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(in_flight.wait_until_due())),
        threading.Thread(target=lambda: answers.append(in_flight.begin_next())),
    ]
    for thread in threads:
        thread.start()
    getattr(in_flight, method)(OVER)
    for thread in threads:
        thread.join(PATIENCE)
    assert set(answers) == {"end", None}


def test_a_signal_may_interrupt_the_thread_that_waits(in_flight):
    """A handler, which runs in the waiting main thread itself, ends the waiting."""
    before = signal.signal(signal.SIGUSR1, lambda *_: in_flight.interrupt(TOLD))
    main = threading.main_thread().ident
    killer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1))
    try:
        killer.start()
        assert in_flight.begin_next() is None
        assert in_flight.ending == TOLD
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, before)


def test_each_task_is_begun_once_while_threads_take_and_add(in_flight):
    """Between a thread that adds, one that begins and one that hands back, no task is lost."""
    numbers = range(500)
    begun, taken = [], []

    def begin():
        while (task := in_flight.begin_next()) is not None:
            in_flight.finish()
            begun.append(task)

    def take():
        while in_flight.ending is None:
            taken.extend(in_flight.take_waiting())

    threads = [threading.Thread(target=begin), threading.Thread(target=take)]
    for thread in threads:
        thread.start()
    tasks = received(in_flight, *numbers)
    in_flight.end(OVER)
    for thread in threads:
        thread.join(PATIENCE)
    taken += in_flight.take_waiting()
    assert sorted(begun + taken, key=lambda one: one.task.task) == tasks
    assert in_flight.held() == tasks
