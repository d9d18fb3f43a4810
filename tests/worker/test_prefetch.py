"""When a worker fetches its next tasks, how many, and when it hands back those that wait."""

import pytest

from rios_plugin_awsbatch.worker.prefetch import BATCH_TASKS, Prefetch, Wait


@pytest.fixture
def prefetch():
    """A policy that knows tasks of ten seconds, and fetches of 0.05 seconds."""
    made = Prefetch()
    made.note_task(10.0)
    return made


def test_an_idle_worker_fetches_at_once(prefetch):
    """Where nothing is computed and nothing waits, it is time to fetch."""
    assert prefetch.due(waiting=0, busy=None) == "fetch"
    assert Prefetch().due(waiting=0, busy=None) == "fetch"


def test_nothing_is_fetched_during_the_first_task():
    """Before a task has been finished, nobody knows how long one takes."""
    assert Prefetch().due(waiting=0, busy=100.0) == Wait(None)
    assert Prefetch().due(waiting=1, busy=None) == Wait(None)
    assert Prefetch().room() == 1


def test_a_busy_worker_fetches_just_in_time(prefetch):
    """It waits until the rest of its task takes no longer than two fetches."""
    assert prefetch.due(waiting=0, busy=0.0) == Wait(pytest.approx(9.9))
    assert prefetch.due(waiting=0, busy=9.85) == Wait(pytest.approx(0.05))
    assert prefetch.due(waiting=0, busy=9.95) == "fetch"


def test_preparing_that_takes_long_is_begun_earlier(prefetch):
    """Where arguments are large, the next fetch begins so much earlier."""
    prefetch.note_fetch(receiving=20.0, preparing=3.0)
    assert prefetch.due(waiting=0, busy=0.0) == Wait(pytest.approx(3.9))


def test_waiting_tasks_delay_the_next_fetch(prefetch):
    """A worker does not take tasks that others could compute sooner."""
    assert prefetch.due(waiting=1, busy=9.95) == Wait(pytest.approx(9.95))


def test_what_waits_is_handed_back_when_a_task_takes_much_longer(prefetch):
    """After twice the typical time, others get what waits; then nothing is fetched."""
    assert prefetch.due(waiting=1, busy=20.1) == Wait(pytest.approx(0.1))
    assert prefetch.due(waiting=1, busy=20.3) == "hand back"
    assert prefetch.due(waiting=0, busy=20.3) == Wait(None)


@pytest.mark.parametrize(
    ("seconds", "preparing", "room"),
    [(10.0, 0.0, 1), (0.1, 0.0, 2), (0.001, 0.0, BATCH_TASKS), (0.0, 0.0, BATCH_TASKS), (0, 1, 1)],
)
def test_quick_tasks_are_fetched_together(seconds, preparing, room):
    """As many at once as take 0.2 seconds, at least one and at most ten."""
    prefetch = Prefetch()
    prefetch.note_task(seconds)
    prefetch.note_fetch(receiving=0.01, preparing=preparing)
    assert prefetch.room() == room


def test_no_more_than_ten_tasks_wait():
    """However quick tasks are, a worker does not take more."""
    prefetch = Prefetch()
    prefetch.note_task(0.001)
    assert prefetch.due(waiting=BATCH_TASKS - 1, busy=0.0) == "fetch"
    assert isinstance(prefetch.due(waiting=BATCH_TASKS, busy=0.0), Wait)
