"""SubmitJob's requests: checked as AWS Batch does, and merged with the job definition."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from moto.batch.exceptions import ClientException
from moto.batch.models import JobDefinition, JobQueue

from .jobs import DEFAULT_LOG_GROUP, JobSpec, Rule

__all__ = ["array_size", "job_spec", "require"]

# https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
_JOB_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_ARRAY_SIZES: Final = range(2, 10_001)
_MOST_OVERRIDES: Final = 8192  # characters
# https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html
_MOST_ATTEMPTS: Final = 10
_MOST_RULES: Final = 5
_CONDITIONS: Final = ("onExitCode", "onReason", "onStatusReason")
# What DescribeJobs repeats of the container.
_CONTAINER_PARTS: Final = (
    "image",
    "command",
    "vcpus",
    "memory",
    "resourceRequirements",
    "logConfiguration",
    "linuxParameters",
    "volumes",
    "mountPoints",
    "ulimits",
)


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads like assert
    """Refuse a request with a message unless a condition is true.

    Raises:
        ClientException: It is not.
    """
    if not condition:
        raise ClientException(message)


def job_spec(request: Mapping[str, Any], queue: JobQueue, definition: JobDefinition) -> JobSpec:
    """Return what a SubmitJob request asks for.

    Raises:
        ClientException: AWS Batch would refuse the request, or the embedded AWS cannot do it.
    """
    overrides = request.get("containerOverrides") or {}
    _check(request, overrides)
    properties = definition.container_properties or {}
    retry = request.get("retryStrategy") or definition.retry_strategy or {}
    timeout = request.get("timeout") or definition.timeout or {}
    parameters = {**definition.parameters, **(request.get("parameters") or {})}
    command = overrides.get("command") or properties.get("command") or []
    return JobSpec(
        name=request["jobName"],
        definition=definition.arn,
        definition_name=definition.name,
        queue=queue.arn,
        queue_name=queue.name,
        compute_environment=queue.environments[0].name,
        image=properties["image"],
        command=tuple(_filled_in(part, parameters) for part in command),
        environment={**_variables(properties), **_variables(overrides)},
        role=properties.get("jobRoleArn") or "",
        log_group=_log_group(properties),
        attempts=_attempts(retry),
        rules=_rules(retry),
        timeout=_seconds(timeout),
        init=bool((properties.get("linuxParameters") or {}).get("initProcessEnabled")),
        described=_described(parameters, retry, timeout, properties | overrides),
    )


def array_size(request: Mapping[str, Any]) -> int | None:
    """Return how many children a SubmitJob request asks for; None for a single job.

    Raises:
        ClientException: AWS Batch would refuse the number.
    """
    size: int | None = (request.get("arrayProperties") or {}).get("size")
    require(
        size is None or size in _ARRAY_SIZES,
        f"Array size must be between {_ARRAY_SIZES[0]} and {_ARRAY_SIZES[-1]}",
    )
    return size


def _check(request: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    name = request.get("jobName") or ""
    require(_JOB_NAME.fullmatch(name) is not None, "Job name should match valid pattern")
    require(not request.get("dependsOn"), "The embedded AWS has no dependencies between jobs")
    require(
        len(json.dumps(overrides, separators=(",", ":"))) <= _MOST_OVERRIDES,
        f"Container Overrides length must be at most {_MOST_OVERRIDES}",
    )


def _variables(properties: Mapping[str, Any]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in properties.get("environment") or []}


def _log_group(properties: Mapping[str, Any]) -> str:
    options = (properties.get("logConfiguration") or {}).get("options") or {}
    return str(options.get("awslogs-group", DEFAULT_LOG_GROUP))


def _filled_in(part: str, parameters: Mapping[str, str]) -> str:
    for name, value in parameters.items():
        part = part.replace(f"Ref::{name}", value)
    return part


def _attempts(retry: Mapping[str, Any]) -> int:
    attempts = int(retry.get("attempts") or 1)
    require(
        1 <= attempts <= _MOST_ATTEMPTS,
        f"RetryStrategy attempts must be between 1 and {_MOST_ATTEMPTS}",
    )
    return attempts


def _seconds(timeout: Mapping[str, Any]) -> float | None:
    # AWS wants at least 60 s, which is too long for tests.
    return float(timeout["attemptDurationSeconds"]) if timeout else None


def _rules(retry: Mapping[str, Any]) -> tuple[Rule, ...]:
    rules = retry.get("evaluateOnExit") or []
    require(len(rules) <= _MOST_RULES, f"At most {_MOST_RULES} evaluateOnExit rules")
    return tuple(map(_rule, rules))


def _rule(rule: Mapping[str, str]) -> Rule:
    action = rule.get("action", "").upper()
    patterns = {name: rule[name] for name in _CONDITIONS if rule.get(name)}
    require(action in {"RETRY", "EXIT"}, "evaluateOnExit: action must be RETRY or EXIT")
    require(bool(patterns), f"evaluateOnExit: at least one of {', '.join(_CONDITIONS)} is needed")
    require(
        all("*" not in pattern[:-1] for pattern in patterns.values()),
        "evaluateOnExit: a pattern can have * at its end only",
    )
    return Rule(action, patterns)


def _described(
    parameters: Mapping[str, str],
    retry: Mapping[str, Any],
    timeout: Mapping[str, Any],
    container: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "parameters": dict(parameters),
        "retryStrategy": dict(retry),
        "container": {name: container[name] for name in _CONTAINER_PARTS if name in container},
        **({"timeout": dict(timeout)} if timeout else {}),
    }
