"""What a check costs: an estimate by a small table of prices."""

import dataclasses
from collections.abc import Mapping
from typing import Final

__all__ = ["PRICES", "PRICES_OF", "Cost"]

# On demand in us-east-1, as the price pages of SQS, S3, EC2 and Fargate had them at that time:
# other regions cost up to twice as much.
PRICES_OF: Final = "2026-01, us-east-1"
PRICES: Final = {
    "SQS request": 0.40e-6,
    "S3 PUT, LIST": 5.0e-6,
    "S3 GET": 0.40e-6,
    "vCPU second": 0.05 / 3600,  # with its memory, disk and public address
}
_READS: Final = ("Get", "Head")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What was used.

    Attributes:
        requests: How many requests, by service and operation, ``sqs.SendMessage`` for instance.
        vcpu_seconds: For how long jobs had how many vCPUs.
    """

    requests: Mapping[str, int] = dataclasses.field(default_factory=dict)
    vcpu_seconds: float = 0.0

    @property
    def count(self) -> int:
        """How many requests there were in all."""
        return sum(self.requests.values())

    @property
    def dollars(self) -> float:
        """An estimate in USD. The other services' requests cost nothing."""
        total = self.vcpu_seconds * PRICES["vCPU second"]
        for name, count in self.requests.items():
            service, _, operation = name.partition(".")
            if service == "sqs":
                total += count * PRICES["SQS request"]
            elif service == "s3":
                kind = "S3 GET" if operation.startswith(_READS) else "S3 PUT, LIST"
                total += count * PRICES[kind]
        return total
