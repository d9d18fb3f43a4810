"""IAM's conditions: their operators, and wildcards.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

__all__ = ["LITERAL", "PolicyError", "Values", "conditions_hold", "matches", "matches_arn"]

Values: TypeAlias = str | Sequence[str]  # of a condition key: one, or several
# Stand for a star and a question mark that are no wildcards.
LITERAL: Final = {"*": "\ue000", "?": "\ue001"}
_WILDCARDS: Final = {
    "*": ".*",
    "?": ".",
    **{stands: re.escape(sign) for sign, stands in LITERAL.items()},
}
_ARN_PARTS: Final = 6  # arn, partition, service, region, account, resource
_IF_EXISTS: Final = "IfExists"
_SETS: Final = {"ForAllValues": all, "ForAnyValue": any}


class PolicyError(Exception):
    """A policy is not valid, or has something that the embedded AWS does not know."""


def matches(pattern: str, text: str) -> bool:
    """Say whether text matches a pattern with IAM's wildcards."""
    return _compiled(pattern).fullmatch(text) is not None


def matches_arn(pattern: str, arn: str) -> bool:
    """Same, part by part: a star does not reach over the colons before the resource's name."""
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", _ARN_PARTS - 1), arn.split(":", _ARN_PARTS - 1)
    return len(wanted) == len(given) and all(map(matches, wanted, given))


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(_WILDCARDS.get(sign, re.escape(sign)) for sign in pattern), re.DOTALL)


def _equal(wanted: str, given: str) -> bool:
    """Compare text without wildcards, as StringEquals does."""
    for sign, stands in LITERAL.items():
        wanted = wanted.replace(stands, sign)
    return wanted == given


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, given: compare(float(given), float(wanted))


# By operator: what compares a value of the policy with one of the request; and whether the request
# must match none of the policy's values.
_OPERATORS: Final[Mapping[str, tuple[Callable[[str, str], bool], bool]]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (lambda wanted, given: _equal(wanted.lower(), given.lower()), False),
    "StringNotEqualsIgnoreCase": (
        lambda wanted, given: _equal(wanted.lower(), given.lower()),
        True,
    ),
    "StringLike": (matches, False),
    "StringNotLike": (matches, True),
    "ArnLike": (matches_arn, False),
    "ArnEquals": (matches_arn, False),  # AWS: the same as ArnLike
    "ArnNotLike": (matches_arn, True),
    "ArnNotEquals": (matches_arn, True),
    "Bool": (lambda wanted, given: wanted.lower() == given.lower(), False),
    "NumericEquals": (_number(operator.eq), False),
    "NumericNotEquals": (_number(operator.eq), True),
    "NumericLessThan": (_number(operator.lt), False),
    "NumericLessThanEquals": (_number(operator.le), False),
    "NumericGreaterThan": (_number(operator.gt), False),
    "NumericGreaterThanEquals": (_number(operator.ge), False),
}


def conditions_hold(
    conditions: Mapping[str, Mapping[str, Sequence[str]]],
    context: Mapping[str, Values],
    fill: Callable[[str], str | None],
) -> bool:
    """Say whether all conditions of a statement hold for a request.

    Args:
        conditions: By operator and condition key, the values of the policy.
        context: The condition keys that the request has.
        fill: Fills in the variables of a value; returns None if one of them is unset.

    Raises:
        PolicyError: An operator is not known.
    """
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(name, known.get(key.lower()), [one for one in map(fill, wanted) if one is not None])
        for name, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(name: str, given: Values | None, wanted: Sequence[str]) -> bool:
    if name == "Null":
        return any(one.lower() == str(given is None).lower() for one in wanted)
    quantifier, _, plain = name.rpartition(":")
    base = plain.removesuffix(_IF_EXISTS)
    if base not in _OPERATORS or (quantifier and quantifier not in _SETS):
        raise PolicyError(f"The embedded AWS does not know the condition operator {name}.")
    compare, negated = _OPERATORS[base]
    if given is None:
        # A key that the request does not have: only "not" holds, or an empty set's "all".
        return plain.endswith(_IF_EXISTS) or negated or quantifier == "ForAllValues"
    values = [given] if isinstance(given, str) else list(given)
    some = _SETS.get(quantifier, any)
    return some(any(compare(one, value) for one in wanted) != negated for value in values)
