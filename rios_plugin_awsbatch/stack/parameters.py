"""Parameters of the template that do not go together: one sentence at once, where AWS refuses them after minutes."""

import math
from collections.abc import Mapping
from typing import Final

from rios_plugin_awsbatch.errors import StackError

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
_OF_EC2: Final = {
    "InstanceTypes": "--instancetypes",
    "VolumeSize": "--volumesize",
    "MainVolumeSize": "--mainvolumesize",
}
_SMALLEST_VOLUME: Final = 30  # that of the system's image
_OF_FARGATE: Final = {"EphemeralStorage": "--ephemeralstorage", "AssignPublicIp": "--publicip"}


def checked_parameters(given: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters to set, with those that follow from others.

    Args:
        given: Those that are asked for.
        before: What all of them are now: the stack's, or the template's defaults for a new one.

    Raises:
        StackError: They do not go together, or one that is asked for would have no effect.
    """
    wanted = {**before, **given}
    fargate = wanted["ComputeType"].startswith("fargate")
    _refuse_idle(given, wanted, fargate=fargate)
    if "MaxVCPUS" not in given and before["MaxVCPUS"] in ("0", _needed_vcpus(before)):
        given = {**given, "MaxVCPUS": _needed_vcpus(wanted)}
    most = float({**wanted, **given}["MaxVCPUS"]) or float(wanted["MaxJobs"])
    if most < max(float(wanted["VCPUS"]), float(wanted["MainVCPUS"])):
        raise StackError(
            f"--maxvcpus is {most:g}, fewer than one worker or main script has: no job could ever start. Give more, or "
            "less --vcpus or --mainvcpus."
        )
    # The template gives Fargate the next size up from RIOS's default.
    memory = 4096 if fargate and wanted["MaxMemory"] == "4000" else int(wanted["MaxMemory"])
    worker = (float(wanted["VCPUS"]), memory)
    main = (float(wanted["MainVCPUS"]) or worker[0], int(wanted["MainMemory"]) or worker[1])
    for whose, (vcpus, memory) in (("worker", worker), ("main script", main)):
        if not fargate and vcpus % 1:
            raise StackError(
                f"A {whose} on EC2 has whole vCPUs, not {vcpus:g}; Fargate has 0.25 and 0.5 as well."
            )
        if fargate and memory not in _FARGATE.get(vcpus, ()):
            raise StackError(
                f"Fargate has no {whose} with {vcpus:g} vCPUs and {memory} MiB. {_fargate_choice(vcpus)}"
            )
    if 0 < int(wanted["MainVolumeSize"]) < _SMALLEST_VOLUME:
        raise StackError(
            f"--mainvolumesize is {_SMALLEST_VOLUME} GiB or more, or 0 for that of --volumesize."
        )
    if (wanted["VpcId"] == "") != (wanted["SubnetIds"] == ""):
        raise StackError(
            "Give a VPC together with its subnets, or neither: then the stack makes its own."
        )
    return dict(given)


def _refuse_idle(given: Mapping[str, str], wanted: Mapping[str, str], *, fargate: bool) -> None:
    """Raise if something is asked for that others make meaningless; what is empty is not asked for."""
    asked = [name for name, value in given.items() if value]
    for name, option in (_OF_EC2 if fargate else _OF_FARGATE).items():
        if name in asked:
            place = "Fargate" if fargate else "EC2"
            raise StackError(
                f"{option} means nothing on {place}, where these jobs run; leave it out."
            )
    if wanted["VpcId"] and any(name in asked for name in ("AZ1", "AZ2", "AZ3")):
        raise StackError(
            "--az is for a VPC that the stack makes; in one of yours, --subnets decides. Leave it out."
        )


def _needed_vcpus(parameters: Mapping[str, str]) -> str:
    """Return what all workers need at once; main scripts, which get as much for themselves, one of them at least."""
    return str(
        math.ceil(
            max(
                int(parameters["MaxJobs"]) * float(parameters["VCPUS"]),
                float(parameters["MainVCPUS"]),
            )
        )
    )


def _fargate_choice(vcpus: float) -> str:
    memories = _FARGATE.get(vcpus)
    if memories is None:
        return f"It has {', '.join(f'{number:g}' for number in _FARGATE)} vCPUs."
    if isinstance(memories, tuple):
        return (
            f"With these vCPUs it has {', '.join(map(str, memories[:-1]))} or {memories[-1]} MiB."
        )
    return f"With these vCPUs it has {memories[0]} to {memories[-1]} MiB in steps of {memories[1] - memories[0]}."
