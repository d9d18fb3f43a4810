"""Parameters of the template that do not fit together, refused before AWS is asked.

CloudFormation would refuse them minutes later, or ignore them.
"""

import math
from collections.abc import Mapping
from typing import Final

from rios_plugin_awsbatch.errors import StackError

from .packing import vcpus_taken

__all__ = ["checked_parameters"]

# https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html: MiB by vCPUs
_FARGATE: Final = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4096 + 1, 1024),
    1: range(2048, 8192 + 1, 1024),
    2: range(4096, 16384 + 1, 1024),
    4: range(8192, 30720 + 1, 1024),
    8: range(16384, 61440 + 1, 4096),
    16: range(32768, 122880 + 1, 8192),
}
_ONLY_ON_EC2: Final = {
    "InstanceTypes": "--instancetypes",
    "VolumeSize": "--volumesize",
    "MainVolumeSize": "--mainvolumesize",
}
_ONLY_ON_FARGATE: Final = {"EphemeralStorage": "--ephemeralstorage", "AssignPublicIp": "--publicip"}
_ONLY_ON_SPOT: Final = {"Fallback": "--fallback"}
_ZONES: Final = ("AZ1", "AZ2", "AZ3")
_SMALLEST_VOLUME: Final = 30  # GiB, of the operating system's image
# The default and RIOS's in MiB, in place of which the template gives Fargate the next size up.
_DEFAULT_MEMORIES: Final = ("3700", "4000")
_FARGATE_DEFAULT_MEMORY: Final = 4096
# CloudFormation takes days and seconds.
_DAY: Final = 24 * 3600


def checked_parameters(given: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters to set: those given, and those that follow from them.

    Args:
        given: The parameters that the user gives.
        before: All parameters as they are: the stack's, or the template's defaults for a new one.

    Raises:
        StackError: They do not fit together, or one that is given would have no effect.
    """
    wanted = {**before, **given}
    fargate = wanted["ComputeType"].startswith("fargate")
    _refuse_without_effect(given, wanted, fargate=fargate)
    if "MaxVCPUS" not in given and before["MaxVCPUS"] in ("0", _needed_vcpus(before)):
        given = {**given, "MaxVCPUS": _needed_vcpus(wanted)}
    _check_vcpus({**wanted, **given})
    _check_sizes(wanted, fargate=fargate)
    _check_days(wanted)
    if 0 < int(wanted["MainVolumeSize"]) < _SMALLEST_VOLUME:
        raise StackError(
            f"--mainvolumesize must be {_SMALLEST_VOLUME} GiB or more, or 0 for that of "
            "--volumesize."
        )
    if (wanted["VpcId"] == "") != (wanted["SubnetIds"] == ""):
        raise StackError(
            "Give a VPC together with its subnets, or neither: then the stack makes its own."
        )
    return dict(given)


def _refuse_without_effect(
    given: Mapping[str, str], wanted: Mapping[str, str], *, fargate: bool
) -> None:
    asked = [name for name, value in given.items() if value]  # an empty one asks for nothing
    place = "Fargate" if fargate else "EC2"
    useless = dict(_ONLY_ON_EC2 if fargate else _ONLY_ON_FARGATE)
    if "spot" not in wanted["ComputeType"]:
        useless |= _ONLY_ON_SPOT
        place = f"{place} on demand"
    for name, option in useless.items():
        if name in asked:
            raise StackError(
                f"{option} has no effect on {place}, where these jobs run; leave it out."
            )
    if wanted["VpcId"] and any(name in asked for name in _ZONES):
        raise StackError(
            "--az is for a VPC that the stack makes; in your own, --subnets decides. Leave it out."
        )


def _needed_vcpus(parameters: Mapping[str, str]) -> str:
    """Return the vCPUs of the machines for all workers, or for one main script if it needs more.

    Workers and main scripts have this limit each, in compute environments of their own.
    """
    vcpus, memory = float(parameters["VCPUS"]), int(parameters["MaxMemory"])
    if not parameters["ComputeType"].startswith("fargate"):
        vcpus = vcpus_taken(vcpus, memory, parameters["InstanceTypes"])
    workers = int(parameters["MaxJobs"]) * vcpus
    return str(math.ceil(max(workers, float(parameters["MainVCPUS"]))))


def _check_vcpus(parameters: Mapping[str, str]) -> None:
    limit = float(parameters["MaxVCPUS"]) or float(parameters["MaxJobs"])
    if limit < max(float(parameters["VCPUS"]), float(parameters["MainVCPUS"])):
        raise StackError(
            f"--maxvcpus is {limit:g}, less than one worker or main script needs: no job could "
            "ever start. Give more, or less --vcpus or --mainvcpus."
        )


def _check_days(parameters: Mapping[str, str]) -> None:
    """Refuse a lifecycle that deletes what a job that still runs has written at its start."""
    days, seconds = int(parameters["RunDays"]), int(parameters["JobTimeout"])
    if days * _DAY <= seconds:
        raise StackError(
            f"Objects of runs would expire after {days} days, while a job may run for "
            f"{seconds / _DAY:g}: give --rundays {seconds // _DAY + 1} or more, or less --timeout."
        )


def _check_sizes(parameters: Mapping[str, str], *, fargate: bool) -> None:
    memory = parameters["MaxMemory"]
    default = fargate and memory in _DEFAULT_MEMORIES
    worker = float(parameters["VCPUS"]), _FARGATE_DEFAULT_MEMORY if default else int(memory)
    main = (
        float(parameters["MainVCPUS"]) or worker[0],
        int(parameters["MainMemory"]) or worker[1],
    )
    for whose, (vcpus, mebibytes) in (("worker", worker), ("main script", main)):
        if not fargate and vcpus % 1:
            raise StackError(
                f"A {whose} on EC2 has whole vCPUs, not {vcpus:g}; Fargate has 0.25 and 0.5 too."
            )
        if fargate and mebibytes not in _FARGATE.get(vcpus, ()):
            raise StackError(
                f"A {whose} on Fargate cannot have {vcpus:g} vCPUs and {mebibytes} MiB. "
                f"{_fargate_choice(vcpus)}"
            )


def _fargate_choice(vcpus: float) -> str:
    memories = _FARGATE.get(vcpus)
    if memories is None:
        return f"Fargate has {', '.join(f'{number:g}' for number in _FARGATE)} vCPUs."
    if isinstance(memories, tuple):
        return (
            f"With these vCPUs it has {', '.join(map(str, memories[:-1]))} or {memories[-1]} MiB."
        )
    step = memories[1] - memories[0]
    return f"With these vCPUs it has {memories[0]} to {memories[-1]} MiB in steps of {step}."
