"""The types of the settings that a user may give as keywords."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from rios_plugin_awsbatch.wire.compression import Compression

__all__ = ["SettingsOverrides"]


class SettingsOverrides(TypedDict, total=False):
    """The fields of `Settings`, for functions that take them as keywords; a test compares both."""

    region: str
    bucket: str | None
    in_queue: str | None
    out_queue: str | None
    inline_limit: int
    compression: Compression
    visibility_timeout: int
    max_attempts: int
    task_timeout: float | None
    idle_timeout: float
    main_timeout: float
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    submission: str | None
    stack: str
    quick_blocks: Literal["main", "workers"]
    job_queue: str | None
    job_definition: str | None
    vcpus: float | None
    memory: int | None
    modules: str
    modules_limit: int
    env: tuple[str, ...] | Mapping[str, str] | str
    startup_timeout: float
    wait_for_capacity: float | None
    credentials_timeout: float
    warm_timeout: float
    memory_limit: int
