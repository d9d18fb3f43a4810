"""When main sends a round of blocks, and when it computes all of it."""

import pytest

from rios_plugin_awsbatch.hosts.rios1_pace import LEARNING_ROUNDS, Pace


def learned(block, rounds):
    pace = Pace()
    for seconds in rounds:
        pace.computed(block)
        pace.sent(seconds)
    return pace


def test_until_enough_is_known_every_round_is_sent():
    """However quick the blocks are: the first rounds wait for workers to start, and tell nothing."""
    assert Pace().worth_sending(1)
    assert learned(0.001, [0.1] * (LEARNING_ROUNDS - 1)).worth_sending(7)
    assert not learned(0.001, [0.1] * LEARNING_ROUNDS).worth_sending(7)


@pytest.mark.parametrize(
    ("block", "sent"), [(0.001, False), (0.01, False), (0.02, True), (10, True)]
)
def test_what_takes_less_time_is_done(block, sent):
    """Seven blocks one after the other, against the 0.1 seconds that sending them adds to the first."""
    assert learned(block, [block + 0.1] * LEARNING_ROUNDS).worth_sending(7) is sent


def test_a_few_slow_rounds_do_not_decide():
    """Workers start, a network stalls: what sending adds is the median of the latest rounds."""
    rounds = [60.0] * 5 + [0.11] * (LEARNING_ROUNDS - 5)
    assert learned(0.02, rounds).worth_sending(7)


def test_a_block_that_took_longer_has_the_next_ones_sent():
    """Within a round, too."""
    pace = learned(0.001, [0.1] * LEARNING_ROUNDS)
    pace.computed(0.5)
    assert pace.worth_sending(1)
    pace.computed(0.001)
    assert not pace.worth_sending(1)


def test_a_mistake_is_unlearnt():
    """Where main's block is quick and others are not, it is found out seldom: each time after twice as many rounds."""
    pace = learned(0.001, [0.5] * LEARNING_ROUNDS)
    for rounds in (2 * LEARNING_ROUNDS, 4 * LEARNING_ROUNDS):
        assert not pace.worth_sending(3)
        pace.mistaken()
        for _ in range(rounds):
            assert pace.worth_sending(3)
            pace.computed(0.001)
            pace.sent(0.5)
