"""Whether the workers or main compute a round of RIOS 1.4's blocks."""

import pytest

from rios_plugin_awsbatch.hosts.rios1_choice import LEARNING_ROUNDS, RoundChoice
from rios_plugin_awsbatch.records import MAIN, TaskRecord


def block_of_main(seconds):
    """The record of a block that main has computed."""
    return TaskRecord(
        run="r",
        task=-1,
        name="block 0,0",
        blocks=1,
        worker=MAIN,
        attempt=1,
        sent=1.0,
        begun=1.0,
        seconds=seconds,
        bytes_in=0,
        bytes_out=0,
        requests=0,
        outcome="done",
    )


def learned(block, rounds):
    choice = RoundChoice()
    for seconds in rounds:
        choice.note_block(block_of_main(block))
        choice.note_round(seconds)
    return choice


def test_every_round_is_sent_until_enough_is_known():
    """However quick the blocks are: the first rounds wait for workers, and show nothing."""
    assert RoundChoice().worth_sending(1)
    assert learned(0.001, [0.1] * (LEARNING_ROUNDS - 1)).worth_sending(7)
    assert not learned(0.001, [0.1] * LEARNING_ROUNDS).worth_sending(7)


@pytest.mark.parametrize(
    ("block", "sent"), [(0.001, False), (0.01, False), (0.02, True), (10, True)]
)
def test_the_quicker_way_is_chosen(block, sent):
    """Seven blocks in turn, against the 0.1 seconds by which sending them lengthens the round."""
    assert learned(block, [block + 0.1] * LEARNING_ROUNDS).worth_sending(7) is sent


def test_a_few_slow_rounds_do_not_decide():
    """Workers start, a network stalls: what counts is the median of the latest rounds."""
    rounds = [60.0] * 5 + [0.11] * (LEARNING_ROUNDS - 5)
    assert learned(0.02, rounds).worth_sending(7)


def test_a_slow_block_has_the_next_ones_sent():
    """Also within a round; main computes again when blocks have been quick for a while."""
    choice = learned(0.001, [0.1] * LEARNING_ROUNDS)
    choice.note_block(block_of_main(0.5))
    assert choice.worth_sending(1)
    for _ in range(5):
        choice.note_block(block_of_main(0.001))
    assert not choice.worth_sending(1)


def test_a_wrong_choice_is_made_ever_less_often():
    """If only main's block is quick, it learns from twice as many rounds each time."""
    choice = learned(0.001, [0.5] * LEARNING_ROUNDS)
    for rounds in (2 * LEARNING_ROUNDS, 4 * LEARNING_ROUNDS):
        assert not choice.worth_sending(3)
        choice.relearn()
        for _ in range(rounds):
            assert choice.worth_sending(3)
            choice.note_block(block_of_main(0.001))
            choice.note_round(0.5)
