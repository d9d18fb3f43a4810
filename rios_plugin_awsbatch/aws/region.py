"""The region of the AWS session: which one it is, and who says so."""

import os
from typing import Final, NamedTuple

import botocore.exceptions
import botocore.session

from .configuration import read_configuration

__all__ = ["SessionRegion", "session_region"]

# As AWS's other tools: botocore itself reads only the second one.
_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


class SessionRegion(NamedTuple):
    """A region, and where it comes from.

    Attributes:
        name: The region.
        source: The variable that sets it, or the profile.
    """

    name: str
    source: str


def session_region() -> SessionRegion | None:
    """Return the region that the environment or the profile sets; None if neither does.

    A configuration that cannot be read has none: whoever makes a client is told what is wrong.
    """
    for variable in _VARIABLES:
        if name := os.environ.get(variable):
            return SessionRegion(name, variable)
    session = botocore.session.Session()
    try:
        with read_configuration():
            name = session.get_config_variable("region")
    except botocore.exceptions.BotoCoreError:
        return None
    return SessionRegion(name, f"profile {session.profile or 'default'}") if name else None
