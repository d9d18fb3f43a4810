"""How many workers fit on an EC2 machine, and how many vCPUs of machines a worker takes.

Batch counts the vCPUs of machines, while a machine may run out of memory first: then the rest of
its vCPUs stays unused, and is paid for.
"""

import re
from typing import Final

__all__ = ["offered_memory", "vcpus_taken", "workers_on"]

# The part of a machine's memory that its operating system sees, at the least. AWS's example is
# 7985 of 8192 MiB, and AWS recommends to leave 5 %:
# https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html
# https://docs.aws.amazon.com/batch/latest/userguide/ecs-reserved-memory.html
# Karpenter, AWS's own autoscaler, counts on 7.5 % less (VM_MEMORY_OVERHEAD_PERCENT):
# https://karpenter.sh/docs/reference/settings/
_SEEN: Final = 0.925
# MiB that ECS's agent keeps for itself, as above.
_AGENT: Final = 32
# GiB a vCPU of instance families, of all their generations (r4 and x1 have less than later ones):
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html
_GIB: Final = {"c": 2.0, "m": 4.0, "r": 7.6, "x": 15.2, "z": 8.0}
# What Batch chooses itself may be of family c. So may be a family that is not known here.
_LEAST_GIB: Final = 2.0
_FAMILY: Final = re.compile(r"([a-z]+)\d")
# Machines have 2, 4, 8, ... vCPUs; this is larger than any.
_MOST_VCPUS: Final = 512


def offered_memory(gib: float) -> int:
    """Return the MiB that a machine offers to jobs, at the least.

    Args:
        gib: The GiB of memory that it is sold with.
    """
    return int(gib * 1024 * _SEEN) - _AGENT


def workers_on(machine_vcpus: int, gib: float, vcpus: float, memory: int) -> int:
    """Return how many workers fit on a machine.

    Args:
        machine_vcpus: The vCPUs of the machine.
        gib: Its GiB of memory.
        vcpus: The vCPUs of a worker.
        memory: The MiB of a worker.
    """
    return min(int(machine_vcpus / vcpus), offered_memory(gib) // memory)


def vcpus_taken(vcpus: float, memory: int, instance_types: str) -> float:
    """Return how many vCPUs of machines a worker takes, on those of them where it takes most.

    Args:
        vcpus: The vCPUs of a worker.
        memory: The MiB of a worker.
        instance_types: EC2 instance types or families, separated by commas; empty if Batch chooses.
    """
    ratio = min(_gib_per_vcpu(one) for one in instance_types.split(","))
    size = 2
    while size < _MOST_VCPUS and not workers_on(size, size * ratio, vcpus, memory):
        size *= 2
    # The smallest machine that takes a worker may take just one, and a larger one more of them.
    fitting = max(workers_on(size, size * ratio, vcpus, memory), 1)
    return size / fitting


def _gib_per_vcpu(instance_type: str) -> float:
    family = _FAMILY.match(instance_type.strip())
    return _GIB.get(family[1], _LEAST_GIB) if family else _LEAST_GIB
