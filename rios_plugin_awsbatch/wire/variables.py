"""Environment variables for the workers: what the setting `env` may say, and what it stands for.

An item of `env` is ``NAME=value``, or ``NAME`` for its value in main's environment, or ``gdal`` for
the variables of main's that GDAL, PROJ and rasterio read.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

from rios_plugin_awsbatch.errors import SettingsError

__all__ = [
    "GDAL",
    "env_items",
    "is_gdal_variable",
    "is_local_path",
    "looks_secret",
    "resolved",
]

GDAL: Final = "gdal"
_GDAL_PREFIXES: Final = ("GDAL_", "OGR_", "CPL_", "VSI_", "PROJ_")
_GDAL_NAMES: Final = {"AWS_REQUEST_PAYER", "AWS_NO_SIGN_REQUEST", "OMP_NUM_THREADS"}
# A name and its value are one string, which Linux limits (execve(2), MAX_ARG_STRLEN).
_MOST_BYTES: Final = 128 * 1024 - 1

_ITEM: Final = re.compile(r"[^=\s]+(=|\Z)")
_SECRET_PARTS: Final = {"KEY", "KEYS", "SAS", "AUTHORIZATION", "PROFILE", "COOKIE", "ROLE"}
_SECRET_WORDS: Final = re.compile(
    "SECRET|PASSW|PWD|TOKEN|HEADER|CREDENTIAL|OAUTH|BEARER|PRIVATE|CONNECTION_STRING|ACCESS_KEY"
    "|DELEGATION"
)
_URL_WITH_USER: Final = re.compile("://[^/@]*@")  # a name alone may be a token
_USER_OF_PROXY: Final = re.compile(r"[^/@\s]+@")  # a proxy's address needs no scheme
_SIGNED_URL: Final = re.compile(r"[?&](?:sig|[\w-]*(?:signature|token|key))=", re.IGNORECASE)


def looks_secret(name: str, value: str) -> bool:
    """Return whether a variable, or an option of GDAL's, looks like a credential."""
    upper = name.upper()
    return bool(
        _SECRET_WORDS.search(upper)
        or _SECRET_PARTS & set(upper.split("_"))
        or _URL_WITH_USER.search(value)
        or _SIGNED_URL.search(value)
        or (upper.endswith("PROXY") and _USER_OF_PROXY.search(value))
    )


def is_local_path(value: str) -> bool:
    """Return whether a value is a path of this machine's disk."""
    if PureWindowsPath(value).is_absolute():
        return True
    parts = (value, *value.split(":"))  # PROJ_DATA has several folders
    return any(
        PurePosixPath(part).is_absolute() and not part.startswith(("/vsi", "//")) for part in parts
    )


def is_gdal_variable(name: str, value: str) -> bool:
    """Return whether ``gdal`` stands for this variable: GDAL's, no credential, no local path."""
    usual = name in _GDAL_NAMES or name.startswith(_GDAL_PREFIXES)
    return usual and not looks_secret(name, value) and not is_local_path(value)


def env_items(given: Any) -> tuple[str, ...]:
    """Return what a user has given for `env` as items.

    Args:
        given: A dictionary of values by name, a list of items, or items separated by commas.

    Raises:
        ValueError: It is none of these, or an item does not name a variable.
    """
    if isinstance(given, str):
        items = [_stripped(item) for item in given.split(",") if item.strip()]
    elif isinstance(given, Mapping):
        items = [_item(name, value) for name, value in given.items()]
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        items = list(given)
    else:
        raise ValueError("give a dictionary, a list, or text such as 'gdal,NAME,NAME=value'")  # noqa: TRY004 - what pydantic reports
    for item in items:
        if not isinstance(item, str) or not _ITEM.match(item) or "\0" in item:
            name = str(item).partition("=")[0]
            raise ValueError(f"{name!r} does not name a variable that a process can have")
    return tuple(items)


def _stripped(item: str) -> str:
    """Return an item without the space around its name; the value is left as it is."""
    name, equals, value = item.partition("=")
    return f"{name.strip()}{equals}{value}"


def _item(name: Any, value: Any) -> str:
    if not isinstance(name, str) or "=" in name or not isinstance(value, str | int | float):
        raise ValueError(f"{name!r} is no variable; its name and value must be text")
    return f"{name}={value}"


def resolved(items: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that `env` stands for.

    Args:
        items: From `env_items`; later ones win.
        environ: Main's environment.

    Raises:
        SettingsError: A variable has no value here, or one that is too long.
    """
    variables: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if item == GDAL:
            variables |= {
                name: value for name, value in environ.items() if is_gdal_variable(name, value)
            }
        elif equals:
            variables[name] = value
        elif name in environ:
            variables[name] = environ[name]
        else:
            raise SettingsError(
                f"RIOS_AWSBATCH_ENV names {name}, which is not set here: give {name}=VALUE. If it "
                "is part of a value that has a comma, set the variable here and give its name only."
            )
    for name, value in variables.items():
        size = len(f"{name}={value}".encode(errors="surrogateescape"))
        if size > _MOST_BYTES:
            raise SettingsError(
                f"The variable {name} for the workers has {size} bytes; Linux allows "
                f"{_MOST_BYTES}. Pass the value as an argument of the function."
            )
    return variables
