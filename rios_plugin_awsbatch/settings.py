"""Settings from arguments and the environment, read when they are needed and never at import.

The environment variable ``RIOS_AWSBATCH_<FIELD>``, in upper case, sets a field. Some fields can
also be set by the variables that RIOS's own module reads.
"""

import functools
import logging
import os
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rios_plugin_awsbatch.aws.region import session_region
from rios_plugin_awsbatch.errors import SettingsError
from rios_plugin_awsbatch.wire.compression import Compression
from rios_plugin_awsbatch.wire.variables import env_items, resolved

__all__ = [
    "RIOS_REGION",
    "Settings",
    "WorkerSettings",
    "load",
    "region_of",
    "variables",
]

log = logging.getLogger(__name__)

PREFIX = "RIOS_AWSBATCH_"
RIOS_REGION: Final = "ap-southeast-2"  # where RIOS's own module looks for the stack
KIB = 1024
MIB = 1024 * KIB
INLINE_MAX = 768 * KIB  # 1 MiB of Base64, less the message around it
INLINE_MARGIN = 8 * KIB
RENEWALS: Final = 4  # of the run's record, within the setting `main_timeout`
# SQS hides a message for twelve hours in all from its receive:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
# Workers extend it after a third of the time-out, and once more must fit in.
VISIBILITY_MAX: Final = 12 * 3600 * 3 // 4
# SQS bills each 64 KiB of a send and of a receive: six pieces, as Base64, less a margin for the
# rest of the message. bench/inline.py: from about 300 KiB on, a payload through S3 costs main less
# CPU (512 KiB both ways: 10 ms instead of 14), and from about 340 KiB on it costs less money too.
INLINE_DEFAULT = 6 * 64 * KIB * 3 // 4 - 2 * INLINE_MARGIN

# What a user may give; a model holds it as a tuple of items.
Env: TypeAlias = Annotated[
    tuple[str, ...] | Mapping[str, str] | str, NoDecode, BeforeValidator(env_items)
]
AnySettings = TypeVar("AnySettings", bound="_CommonSettings")


class _CommonSettings(BaseSettings):
    """What main and worker both need."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        populate_by_name=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    region: str = Field(
        default=RIOS_REGION,
        min_length=1,
        description="AWS region of the stack; by default that of `AWS_REGION`, of "
        "`AWS_DEFAULT_REGION` or of the profile, if there is one.",
    )
    bucket: str | None = Field(
        default=None,
        validation_alias=AliasChoices("RIOS_AWSBATCH_BUCKET", "RIOSBucket"),
        description="Bucket for payloads; by default the stack's.",
    )
    in_queue: str | None = Field(
        default=None,
        validation_alias=AliasChoices("RIOS_AWSBATCH_IN_QUEUE", "RIOSInQueue"),
        description="URL of the queue of tasks; by default each run creates one.",
    )
    out_queue: str | None = Field(
        default=None,
        validation_alias=AliasChoices("RIOS_AWSBATCH_OUT_QUEUE", "RIOSOutQueue"),
        description="URL of the queue of results; give both queues, or neither.",
    )
    inline_limit: int = Field(
        default=INLINE_DEFAULT,
        ge=0,
        le=INLINE_MAX - INLINE_MARGIN,
        description="Payloads up to this many bytes are sent in messages, larger ones through S3, "
        "which costs less CPU and money for them.",
    )
    compression: Compression = Field(
        default="none", description="`none`, or `zlib` if sending takes longer than compressing."
    )
    visibility_timeout: int = Field(
        default=60,
        ge=5,
        le=VISIBILITY_MAX,
        description="Seconds until another worker gets the tasks of a worker that has vanished.",
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How many times a task is tried if it ends the process that computes it, takes "
        "too long, or its message is lost.",
    )
    task_timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that one attempt at a task may take; then the process that computes "
        "it is ended, and the error tells where it stood. Without limit by default.",
    )
    idle_timeout: float = Field(
        default=600.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias=AliasChoices("RIOS_AWSBATCH_IDLE_TIMEOUT", "RIOS_NOMSG_TIMEOUT"),
        description="Seconds without a task after which a worker ends.",
    )
    main_timeout: float = Field(
        default=120.0,
        ge=4,
        le=86400,
        allow_inf_nan=False,
        description="Seconds within which workers end if main no longer gives a sign of life: it "
        "was killed, its machine sleeps, or its credentials have ended.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="What workers log; `INFO` logs one line for each task."
    )
    submission: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}:[0-9a-f]{64}$",
        description="Files that a main job and its workers fetch; set by `rios-awsbatch submit`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_the_region_of_the_session(cls, given: dict[str, Any]) -> dict[str, Any]:
        found = None if "region" in given else session_region()
        return given if found is None else {**given, "region": found.name}


class Settings(_CommonSettings):
    """The settings of a run, as main has them.

    The README's table describes the attributes; a test compares it with the descriptions here.

    Raises:
        SettingsError: A value cannot be used, and `load` makes the settings.
    """

    stack: str = Field(
        default="RIOS", min_length=1, description="Name of the CloudFormation stack."
    )
    quick_blocks: Literal["main", "workers"] = Field(
        default="main",
        description="RIOS 1.4: whether `main` or `workers` compute blocks that take less time "
        "than sending them.",
    )
    job_queue: str | None = Field(
        default=None, description="Batch job queue; by default the stack's."
    )
    job_definition: str | None = Field(
        default=None, description="Job definition of workers; by default the stack's."
    )
    vcpus: float | None = Field(
        default=None, gt=0, description="vCPUs of a worker; by default those of the job definition."
    )
    memory: int | None = Field(
        default=None,
        ge=4,
        description="Memory of a worker, in MiB; by default that of the job definition.",
    )
    modules: str = Field(
        default="",
        pattern=r"^[\w., ]*$",
        description="Modules for the workers, separated by commas, besides those of your own that "
        "the script imports; with `none` only those named here, if any.",
    )
    modules_limit: int = Field(
        default=50 * MIB,
        ge=0,
        description="Bytes that the files of these modules may have.",
    )
    env: Env = Field(
        default=(),
        description="Variables for the workers, separated by commas: `NAME=value`, `NAME` as it is "
        "set here, or `gdal` for those of GDAL, PROJ and rasterio that are set here.",
    )
    startup_timeout: float = Field(
        default=900.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds within which the first worker must be ready, once Batch could start "
        "it; a cold start takes one to five minutes.",
    )
    wait_for_capacity: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Seconds to wait for a place while other jobs have them, or AWS has no "
        "machines; by default as long as it takes.",
    )
    credentials_timeout: float = Field(
        default=3600.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a run waits for credentials that have ended to be renewed.",
    )
    warm_timeout: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that RIOS's workers stay for the next `apply` of the same process; "
        "they end sooner if another job waits for their place, and at once if it is 0.",
    )
    memory_limit: int = Field(
        default=256 * MIB,
        ge=1 * MIB,
        description="Bytes of payloads that may wait in main; if there are more, submitting waits. "
        "As many are kept for tasks that have to be sent again.",
    )

    @model_validator(mode="after")
    def _both_queues_or_none(self) -> "Settings":
        if (self.in_queue is None) != (self.out_queue is None):
            missing = "OUT" if self.out_queue is None else "IN"
            raise ValueError(
                f"{PREFIX}{missing}_QUEUE: give both queue URLs or neither; this one is missing."
            )
        return self

    @model_validator(mode="after")
    def _variables_have_values(self) -> "Settings":
        try:
            resolved(env_items(self.env), os.environ)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return self


class WorkerSettings(_CommonSettings):
    """The settings of a worker, all from the environment that the run gives its Batch job."""

    run: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The run's id.")
    run_key: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="The run's secret, 64 hexadecimal digits.",
        repr=False,
    )
    bucket: str = Field(
        validation_alias=AliasChoices("RIOS_AWSBATCH_BUCKET", "RIOSBucket"),
        description="Bucket for payloads.",
    )
    in_queue: str = Field(
        validation_alias=AliasChoices("RIOS_AWSBATCH_IN_QUEUE", "RIOSInQueue"),
        description="URL of the queue of tasks.",
    )
    out_queue: str = Field(
        validation_alias=AliasChoices("RIOS_AWSBATCH_OUT_QUEUE", "RIOSOutQueue"),
        description="URL of the queue of results.",
    )


def load(model: type[AnySettings], **values: Any) -> AnySettings:
    """Make settings from `values`, and from the environment for fields that `values` lacks.

    Raises:
        SettingsError: A value cannot be used; one sentence names each variable.
    """
    unknown = sorted(values.keys() - model.model_fields.keys())
    if unknown:
        raise SettingsError(
            f"There is no setting {', '.join(unknown)}; there are {', '.join(model.model_fields)}."
        )
    try:
        return model(**values)
    except ValidationError as error:
        sentences = [_sentence(model, problem) for problem in error.errors()]
        raise SettingsError(" ".join(sentences)) from None


def region_of(settings: _CommonSettings) -> str:
    """Return the region for AWS clients; if nothing sets it, a warning says so, once."""
    if "region" not in settings.model_fields_set:
        _tell_region()
    return settings.region


@functools.cache
def _tell_region() -> None:
    log.warning(
        "No AWS region is set (%sREGION, AWS_REGION, AWS_DEFAULT_REGION, the profile): using %s, "
        "as RIOS does.",
        PREFIX,
        RIOS_REGION,
    )


def variables(model: type[BaseSettings]) -> dict[str, tuple[str, ...]]:
    """Return the environment variables that set each field; the field's own one comes first."""
    return {name: _variables(name, field) for name, field in model.model_fields.items()}


def _variables(name: str, field: FieldInfo) -> tuple[str, ...]:
    if isinstance(field.validation_alias, AliasChoices):
        return tuple(str(choice) for choice in field.validation_alias.choices)
    return (f"{PREFIX}{name.upper()}",)


def _sentence(model: type[BaseSettings], problem: Any) -> str:
    """Say in one sentence what is wrong with which variable."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    known = variables(model)
    place = str(problem["loc"][0])
    names = next((names for field, names in known.items() if place in (field, *names)), (place,))
    name = next((name for name in names if name in os.environ), names[0])
    if problem["type"] == "missing":
        return f"{name} is not set; the run sets it for its workers, which Batch starts."
    hidden = "KEY" in name or place == "env"  # may be secret
    value = "" if hidden else f"={problem['input']!r}"
    return f"{name}{value} cannot be used: {message}."
