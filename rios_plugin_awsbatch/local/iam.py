"""IAM's decision: whether identity-based policies allow a request.

It knows nothing of moto. Where a policy uses something that is not here, a condition operator for
instance, it raises `PolicyError` rather than guess.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .iam_conditions import (
    LITERAL,
    PolicyError,
    Values,
    conditions_hold,
    matches,
    matches_arn,
)

__all__ = ["Access", "Decision", "Policy", "PolicyError", "decide", "read_policy"]

_VARIABLE: Final = re.compile(r"\$\{(?P<name>[^},]+)(?:\s*,\s*'(?P<default>[^']*)')?\}")
_ESCAPED: Final = {"*", "?", "$"}  # ${*} is a star that is no wildcard
_WITH_VARIABLES: Final = "2012-10-17"  # older policies take ${...} as it is written
_EFFECTS: Final = {"Allow", "Deny"}
_PARTS: Final = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}


@dataclasses.dataclass(frozen=True)
class Access:
    """What a request wants: one action on one resource.

    Attributes:
        action: As in a policy, "s3:GetObject" for instance.
        resource: The resource's ARN, or ``*`` for an action that has no resource.
        context: The condition keys that the request has, with their values.
    """

    action: str
    resource: str
    context: Mapping[str, Values] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether a request is allowed.

    Attributes:
        allowed: Whether it is.
        denied: Whether a statement denies it, rather than none allowing it.
        statements: The statements that decided, as "policy/Sid" or "policy/number".
    """

    allowed: bool
    denied: bool = False
    statements: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Statement:
    name: str
    effect: str
    actions: tuple[str, ...]
    excludes_actions: bool
    resources: tuple[str, ...]
    excludes_resources: bool
    conditions: Mapping[str, Mapping[str, Sequence[str]]]
    variables: bool

    def applies_to(self, access: Access) -> bool:
        """Say whether it says anything about this access."""
        action = access.action.lower()
        if any(matches(one.lower(), action) for one in self.actions) == self.excludes_actions:
            return False
        if any(self._names(one, access) for one in self.resources) == self.excludes_resources:
            return False
        filled = functools.partial(self._filled, context=access.context)
        return conditions_hold(self.conditions, access.context, filled)

    def _names(self, pattern: str, access: Access) -> bool:
        filled = self._filled(pattern, access.context)
        return filled is not None and matches_arn(filled, access.resource)

    def _filled(self, text: str, context: Mapping[str, Values]) -> str | None:
        """Return text with its variables filled in; None if the request lacks one of them."""
        return _filled_in(text, context) if self.variables else text


@dataclasses.dataclass(frozen=True)
class Policy:
    """A policy, read.

    Attributes:
        name: Its name.
        statements: Its statements.
    """

    name: str
    statements: tuple[_Statement, ...]


def read_policy(name: str, document: str | Mapping[str, Any]) -> Policy:
    """Read a policy's document.

    Raises:
        PolicyError: It is no identity-based policy.
    """
    return _read(name, document if isinstance(document, str) else json.dumps(document))


@functools.lru_cache(maxsize=256)
def _read(name: str, text: str) -> Policy:
    document = json.loads(text)
    statements = document["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    variables = document.get("Version") == _WITH_VARIABLES
    read = (_statement(name, n, one, variables=variables) for n, one in enumerate(listed))
    return Policy(name, tuple(read))


def decide(
    policies: Iterable[Policy], access: Access, boundaries: Iterable[Policy] = ()
) -> Decision:
    """Decide: an explicit denial wins, then any statement that allows it, else it is denied.

    Args:
        policies: The caller's.
        access: What it wants.
        boundaries: Each of them has to allow it as well.
    """
    for boundary in boundaries:
        limit = decide([boundary], access)
        if not limit.allowed:
            return limit
    allowing: list[str] = []
    for policy in policies:
        for statement in policy.statements:
            if not statement.applies_to(access):
                continue
            if statement.effect == "Deny":
                return Decision(allowed=False, denied=True, statements=(statement.name,))
            allowing.append(statement.name)
    return Decision(allowed=bool(allowing), statements=tuple(allowing))


def _statement(
    policy: str, number: int, given: Mapping[str, Any], *, variables: bool
) -> _Statement:
    name = f"{policy}/{given.get('Sid', number)}"
    unknown = given.keys() - _PARTS
    if unknown or given.get("Effect") not in _EFFECTS:
        raise PolicyError(f"Statement {name} has {sorted(unknown)} or no valid Effect.")
    for part in ("Action", "Resource"):
        if (part in given) == (f"Not{part}" in given):
            raise PolicyError(f"Statement {name} needs {part} or Not{part}.")
    return _Statement(
        name=name,
        effect=given["Effect"],
        actions=_texts(given.get("Action", given.get("NotAction"))),
        excludes_actions="NotAction" in given,
        resources=_texts(given.get("Resource", given.get("NotResource"))),
        excludes_resources="NotResource" in given,
        conditions={
            operator: {key: _texts(values) for key, values in keys.items()}
            for operator, keys in given.get("Condition", {}).items()
        },
        variables=variables,
    )


def _texts(value: Any) -> tuple[str, ...]:
    """Return the values of a list, or one value, as text; JSON's true is "true"."""
    values = value if isinstance(value, list) else [value]
    return tuple(one if isinstance(one, str) else json.dumps(one) for one in values)


def _filled_in(text: str, context: Mapping[str, Values]) -> str | None:
    """Fill in the variables of a policy's text; None if the request does not have one of them."""
    known = {key.lower(): value for key, value in context.items()}
    found = [_value_of(match, known) for match in _VARIABLE.finditer(text)]
    if None in found:
        return None
    values = iter(found)
    return _VARIABLE.sub(lambda _: str(next(values)), text)


def _value_of(match: re.Match[str], known: Mapping[str, Values]) -> str | None:
    name = match["name"].strip()
    if name in _ESCAPED:
        return LITERAL.get(name, name)
    value = known.get(name.lower(), match["default"])
    if not isinstance(value, str):
        return None  # several values are none
    for sign, stands in LITERAL.items():
        value = value.replace(sign, stands)
    return value
