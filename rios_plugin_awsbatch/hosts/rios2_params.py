"""What a script for RIOS 2 may say in ``computeWorkerExtraParams``."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rios_plugin_awsbatch.errors import SettingsError
from rios_plugin_awsbatch.settings import Settings, load

__all__ = ["ExtraParams", "extra_params"]


class ExtraParams(BaseModel):
    """The dictionary of ``ConcurrencyStyle(computeWorkerExtraParams={...})``.

    An unknown key is an error.

    Attributes:
        read: Who reads the inputs: ``workers`` or ``main``. With ``auto``, workers read files that
            can be opened from anywhere (``/vsis3/``, ``s3://``, ``/vsicurl/``, http), and main
            reads the others.
        blocks_per_task: How many blocks make one task; by default it follows from measured times.
        stack: The settings of these names; by default those of the environment.
        region: See `stack`.
        vcpus: See `stack`.
        memory: See `stack`.
        job_queue: See `stack`.
        job_definition: See `stack`.
        startup_timeout: See `stack`.
        warm_timeout: See `stack`.
        idle_timeout: See `stack`.
        visibility_timeout: See `stack`.
        max_attempts: See `stack`.
        timeout: Seconds that an attempt at a task may take: the setting `task_timeout`.
        env: Variables for the workers, a dictionary, or text as in the setting of this name.
        modules: See `stack`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: Literal["auto", "main", "workers"] = "auto"
    blocks_per_task: int | None = Field(None, ge=1)
    stack: str | None = None
    region: str | None = None
    vcpus: float | None = None
    memory: int | None = None
    job_queue: str | None = None
    job_definition: str | None = None
    startup_timeout: float | None = None
    warm_timeout: float | None = None
    idle_timeout: float | None = None
    visibility_timeout: int | None = None
    max_attempts: int | None = None
    timeout: float | None = None
    env: dict[str, str] | list[str] | str | None = None
    modules: str | None = None

    def settings(self) -> Settings:
        """Return the settings that these and the environment make.

        Raises:
            SettingsError: A value cannot be used.
        """
        given = self.model_dump(exclude={"read", "blocks_per_task"}, exclude_none=True)
        if "timeout" in given:
            given["task_timeout"] = given.pop("timeout")
        return load(Settings, **given)


def extra_params(given: Any) -> ExtraParams:
    """Check what a script has given.

    Args:
        given: The value of ``computeWorkerExtraParams``; None if there is none.

    Raises:
        SettingsError: It cannot be used; the message names each key that is wrong.
    """
    if given is not None and not isinstance(given, dict):
        raise SettingsError(
            f"computeWorkerExtraParams is {given!r}; for CW_AWSBATCH it must be a dictionary."
        )
    try:
        return ExtraParams(**(given or {}))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))!r}: {one['msg']}" for one in error.errors()
        )
        known = ", ".join(ExtraParams.model_fields)
        raise SettingsError(
            f"computeWorkerExtraParams of CW_AWSBATCH: {wrong}. Known keys: {known}."
        ) from None
