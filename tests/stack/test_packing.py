"""How many workers fit on the machines that Batch may choose."""

import pytest

from rios_plugin_awsbatch.stack.packing import offered_memory, vcpus_taken, workers_on
from tests.stack.support.template import PARAMETERS, ROOT

DEFAULT = PARAMETERS["MaxMemory"]["Default"]
# GiB a vCPU of the families of general purpose and those with more memory.
FAMILIES = {"c": 2, "m": 4, "r": 8}
SIZES = [2, 4, 8, 16, 32, 48, 64, 96, 128, 192]


def test_less_is_offered_than_is_installed():
    """AWS's example of 8192 MiB, and the 5 % that it recommends to leave, are within the slack."""
    assert 7000 < offered_memory(8) <= min(7985 - 32, 8192 * 0.95)


@pytest.mark.parametrize("vcpus", SIZES)
def test_workers_of_the_default_size_use_all_vcpus(vcpus):
    """On machines with 4 GiB a vCPU or more, memory is enough for a worker on each."""
    assert workers_on(vcpus, vcpus * FAMILIES["m"], 1, DEFAULT) == vcpus
    assert workers_on(vcpus, vcpus * FAMILIES["r"], 1, DEFAULT) == vcpus
    assert workers_on(vcpus, vcpus * FAMILIES["c"], 1, DEFAULT) >= vcpus // 2


def test_rios_s_default_does_not_pack():
    """With 4000 MiB, two vCPUs and 8 GiB hold one worker: that is why the default is another."""
    assert workers_on(2, 8, 1, 4000) == 1


@pytest.mark.parametrize("vcpus", SIZES)
@pytest.mark.parametrize(
    ("family", "worker_vcpus", "memory"),
    [
        (family, worker_vcpus, memory)
        for family in FAMILIES
        for worker_vcpus, memory in [(1, DEFAULT), (1, 1800), (2, 7400), (3, 3700), (4, 15000)]
    ],
)
def test_all_workers_find_a_place(family, vcpus, worker_vcpus, memory):
    """Machines of any size that takes one hold as many as the limit of vCPUs was counted for."""
    there = workers_on(vcpus, vcpus * FAMILIES[family], worker_vcpus, memory)
    taken = vcpus_taken(worker_vcpus, memory, f"{family}7i")
    assert worker_vcpus <= taken
    assert not there or vcpus / there <= taken


def test_where_batch_chooses_it_may_choose_the_smallest_memory():
    """So it may with types of which nothing is known, and with the smallest of several."""
    assert vcpus_taken(1, DEFAULT, "") == vcpus_taken(1, DEFAULT, "c7i,m7i") == 2
    assert vcpus_taken(1, DEFAULT, "unheardof9.large") == 2
    assert vcpus_taken(1, DEFAULT, "m7i, r7i.xlarge") == 1


def test_the_table_in_the_documents():
    """The table of what fits says what is computed here."""
    text = (ROOT / "docs" / "aws.md").read_text()
    rows = {
        "2 vCPUs, 4 GiB (`c`)": (2, 4),
        "2 vCPUs, 8 GiB (`m`)": (2, 8),
        "4 vCPUs, 8 GiB (`c`)": (4, 8),
        "4 vCPUs, 16 GiB (`m`)": (4, 16),
        "4 vCPUs, 32 GiB (`r`)": (4, 32),
        "8 vCPUs, 32 GiB (`m`)": (8, 32),
    }
    for machine, (vcpus, gib) in rows.items():
        fits = [workers_on(vcpus, gib, 1, memory) for memory in (1800, 3700, 4000, 7500)]
        row = f"| {machine} | {offered_memory(gib)} | {' | '.join(map(str, fits))} |"
        assert row in text
