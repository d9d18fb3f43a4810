"""What may not be done to a stack in which state, why, and what to do instead.

Each function raises `StackError`, or returns nothing.
"""

from typing import TYPE_CHECKING, Final

from rios_plugin_awsbatch.errors import StackError

from .template import DESCRIPTION, RIOS_DESCRIPTION

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

__all__ = ["advice_for", "refuse_creation", "refuse_deletion", "refuse_modification"]

_CREATED_IN_VAIN: Final = "ROLLBACK_COMPLETE"  # creation failed, and its resources are gone
_IN_REVIEW: Final = "REVIEW_IN_PROGRESS"  # creation never began; the stack is empty
_ONLY_DELETION: Final = "only `rios-awsbatch stack delete` helps"
_STUCK: Final = {
    "CREATE_FAILED": _ONLY_DELETION,
    "ROLLBACK_FAILED": _ONLY_DELETION,
    "DELETE_FAILED": _ONLY_DELETION,
    "UPDATE_ROLLBACK_FAILED": (
        "have CloudFormation continue the rollback, in its console, or delete the stack"
    ),
}
_ADVICE: Final = {
    **_STUCK,
    _CREATED_IN_VAIN: (
        "nothing that costs money is left; remove the cause, and create the stack again"
    ),
    "UPDATE_ROLLBACK_COMPLETE": (
        "the stack is as it was before; remove the cause, and change it again"
    ),
    "DELETE_FAILED": "remove the cause, and delete the stack again",
}


def advice_for(status: str) -> str:
    """Say what to do after an operation that ended with a status; empty if nothing is known."""
    return _ADVICE.get(status, "")


def refuse_creation(where: str, found: "StackTypeDef") -> None:
    """Refuse to create a stack over an existing one, unless that is our own and empty.

    Args:
        where: The stack, as in "stack RIOS in us-east-1".
        found: CloudFormation's description of the existing stack.

    Raises:
        StackError: It may not be created.
    """
    status = found["StackStatus"]
    if status == _IN_REVIEW:
        return
    _refuse_foreign(where, found)
    _refuse_in_progress(where, found)
    _refuse_stuck(where, found)
    if status != _CREATED_IN_VAIN:
        raise StackError(
            f"There already is a {where} ({status}): change it with `rios-awsbatch stack modify`, "
            "or delete it with `rios-awsbatch stack delete`."
        )


def refuse_modification(where: str, found: "StackTypeDef") -> None:
    """Refuse to change a stack that is empty, not ours, busy or stuck.

    Args:
        where: The stack, as in "stack RIOS in us-east-1".
        found: CloudFormation's description of it.

    Raises:
        StackError: It may not be changed.
    """
    status = found["StackStatus"]
    if status in (_CREATED_IN_VAIN, _IN_REVIEW):
        raise StackError(f"The creation of {where} failed ({status}); create it again.")
    _refuse_foreign(where, found)
    _refuse_in_progress(where, found)
    _refuse_stuck(where, found)


def refuse_deletion(where: str, found: "StackTypeDef") -> None:
    """Refuse to delete a stack that is not ours, protected or being changed.

    Args:
        where: The stack, as in "stack RIOS in us-east-1".
        found: CloudFormation's description of it.

    Raises:
        StackError: It may not be deleted.
    """
    status = found["StackStatus"]
    if status == _IN_REVIEW:
        return
    if found.get("Description") != RIOS_DESCRIPTION:
        _refuse_foreign(where, found)
    if found.get("EnableTerminationProtection"):
        raise StackError(
            f"The {where} is protected from deletion: end its termination protection, in "
            "CloudFormation's console."
        )
    if status not in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
        _refuse_in_progress(where, found)


def _refuse_foreign(where: str, found: "StackTypeDef") -> None:
    description = found.get("Description")
    if description == DESCRIPTION:
        return
    how = (
        "with `rios-awsbatch stack delete`"
        if description == RIOS_DESCRIPTION
        else "in CloudFormation's console"
    )
    raise StackError(
        f"The {where} was not made from this package's template: give another --stackname, or "
        f"delete it {how}."
    )


def _refuse_in_progress(where: str, found: "StackTypeDef") -> None:
    status = found["StackStatus"]
    if status.endswith("_IN_PROGRESS"):
        raise StackError(f"CloudFormation is working on {where} ({status}); wait until it is done.")


def _refuse_stuck(where: str, found: "StackTypeDef") -> None:
    status = found["StackStatus"]
    if status in _STUCK:
        raise StackError(f"The {where} is {status}: {_STUCK[status]}.")
