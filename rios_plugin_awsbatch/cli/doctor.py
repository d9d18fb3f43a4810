"""What is here, what is reachable, and what to do about what is not: the command ``rios-awsbatch doctor``."""

import contextlib
import dataclasses
import importlib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any, Literal, TypeAlias

import botocore.exceptions

from rios_plugin_awsbatch.aws.batch import latest_definition
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, error_code, sentence_for
from rios_plugin_awsbatch.aws.names import queue_prefix
from rios_plugin_awsbatch.errors import AWSBatchException, StackError
from rios_plugin_awsbatch.settings import PREFIX, Settings, WorkerSettings, load, variables
from rios_plugin_awsbatch.stack.outputs import RUNS_NEED, StackOutputs, read_stack

__all__ = ["Finding", "examine"]

Verdict: TypeAlias = Literal["good", "note", "bad"]

_LIBRARIES = (
    ("cloudpickle", "__version__"),
    ("numpy", "__version__"),
    ("osgeo.gdal", "__version__"),
    ("rios", "RIOS_VERSION"),
)
# Said for the hook, and for scripts that are submitted.
_NO_SETTINGS = {"RIOS_AWSBATCH_AUTOLOAD", "RIOS_AWSBATCH_THREADS"}
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR = re.compile(r"^\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com[a-z.]*/([^:@]+)(?::([^@]+))?$")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        verdict: ``good``, ``note`` (nothing is wrong, but one should know), or ``bad``.
        what: What was looked at.
        detail: What was found.
        remedy: What to do; empty where nothing is wrong.
    """

    verdict: Verdict
    what: str
    detail: str
    remedy: str = ""


def examine(*, ask_worker: bool = False) -> Iterator[Finding]:
    """Look at everything, the nearest first.

    Args:
        ask_worker: Whether to start a worker and compare its versions; that takes minutes on AWS, and costs a little.

    Yields:
        Findings; what depends on something bad is left out.
    """
    yield from _installed()
    yield from _registered()
    try:
        settings = load(Settings)
    except AWSBatchException as error:
        yield Finding("bad", "Settings", str(error), "Correct or unset the variable.")
        return
    yield from _in_force(settings)
    stack = yield from _reachable(settings)
    if stack is not None and ask_worker:
        yield from _worker(settings)


def _installed() -> Iterator[Finding]:
    yield Finding("good", "Python", platform.python_version())
    for package in ("rios-plugin-awsbatch", "boto3", "cloudpickle", "numpy"):
        yield Finding("good", package, importlib.metadata.version(package))
    for name, attribute, remedy in (
        (
            "rios",
            "RIOS_VERSION",
            "Install RIOS (conda-forge, or the release from its GitHub page), if you want to use it.",
        ),
        (
            "osgeo.gdal",
            "__version__",
            'Install GDAL: pip install "gdal[numpy]==$(gdal-config --version)".',
        ),
    ):
        try:
            yield Finding("good", name, str(getattr(importlib.import_module(name), attribute)))
        except ImportError as error:
            yield Finding("note", name, f"cannot be imported ({error})", remedy)


def _registered() -> Iterator[Finding]:
    """Ask RIOS itself whom it would take."""
    hook = any(getattr(finder, "__qualname__", "") == "RiosFinder" for finder in sys.meta_path)
    how = "through the import hook" if hook else "by an import of rios_plugin_awsbatch"
    for module, base, attribute, kind in (
        ("rios.parallel.jobmanager", "JobManager", "jobMgrType", "AWSBatch"),
        ("rios.computemanager", "ComputeWorkerManager", "computeWorkerKind", "CW_AWSBATCH"),
    ):
        try:
            classes = getattr(importlib.import_module(module), base).__subclasses__()
        except ImportError:
            continue  # another generation of RIOS, or none
        known = [one for one in classes if getattr(one, attribute, None) == kind]
        if known and known[-1].__module__.startswith("rios_plugin_awsbatch."):
            yield Finding(
                "good", f"{kind} in RIOS", f"{known[-1].__qualname__} of this package, {how}"
            )
        else:
            found = f"{known[-1].__module__}.{known[-1].__qualname__}" if known else "nobody"
            off = os.environ.get("RIOS_AWSBATCH_AUTOLOAD") == "0"
            remedy = (
                "Unset RIOS_AWSBATCH_AUTOLOAD."
                if off
                else "Install the package anew, or import rios_plugin_awsbatch."
            )
            yield Finding("bad", f"{kind} in RIOS", f"RIOS would take {found}", remedy)


def _in_force(settings: Settings) -> Iterator[Finding]:
    for field, names in variables(Settings).items():
        value = getattr(settings, field)
        source = next((name for name in names if os.environ.get(name)), None)
        if value is not None:
            yield Finding(
                "good", names[0], f"{value} ({f'from {source}' if source else 'default'})"
            )
    known = {
        name
        for model in (Settings, WorkerSettings)
        for names in variables(model).values()
        for name in names
    }
    for name in sorted(os.environ.keys() - known - _NO_SETTINGS):
        if name.startswith(PREFIX):
            yield Finding(
                "note", name, "is no setting of this package's", "Correct its name, or unset it."
            )


def _reachable(settings: Settings) -> Generator[Finding, None, StackOutputs | None]:
    try:
        clients = Clients(settings.region)
        who = clients.sts.get_caller_identity()["Arn"]
        yield Finding("good", "AWS credentials", who)
    except AWS_ERRORS as error:
        yield Finding("bad", "AWS credentials", sentence_for(error))
        return None
    what = f"Stack {settings.stack} in {settings.region}"
    try:
        stack = read_stack(clients, settings, *RUNS_NEED)
    except StackError as error:
        yield Finding(
            "bad",
            what,
            str(error),
            "Create the stack, or set RIOS_AWSBATCH_STACK and RIOS_AWSBATCH_REGION.",
        )
        return None
    yield Finding("good", what, f"at most {stack.max_jobs} workers at once")
    for check in (_bucket, _queues, _job_queue, _image):
        yield _explained(check, clients, settings, stack)
    return stack


Check: TypeAlias = Callable[[Clients, Settings, StackOutputs], Finding]


def _explained(check: Check, clients: Clients, settings: Settings, stack: StackOutputs) -> Finding:
    """Make a check; what AWS refuses is a finding as well."""
    try:
        return check(clients, settings, stack)
    except AWS_ERRORS as error:
        what = (check.__doc__ or "").rstrip(".")
        return Finding(
            "bad",
            what,
            sentence_for(error),
            "Ask for the permission, or see whether the stack is complete.",
        )


def _bucket(clients: Clients, _settings: Settings, stack: StackOutputs) -> Finding:
    """Bucket."""
    clients.s3.head_bucket(Bucket=stack.bucket)
    return Finding("good", "Bucket", stack.bucket)


def _queues(clients: Clients, settings: Settings, stack: StackOutputs) -> Finding:
    """Queues."""
    if settings.in_queue and settings.out_queue:
        for url in (settings.in_queue, settings.out_queue):
            clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return Finding("good", "Queues", f"given: {settings.in_queue}, {settings.out_queue}")
    runs = clients.sqs.list_queues(QueueNamePrefix=queue_prefix(stack.name)).get("QueueUrls", [])
    return Finding("good", "Queues", f"each run makes its own; there are {len(runs)} now")


def _job_queue(clients: Clients, _settings: Settings, stack: StackOutputs) -> Finding:
    """Job queue."""
    queues = clients.batch.describe_job_queues(jobQueues=[stack.job_queue])["jobQueues"]
    if not queues:
        return Finding(
            "bad", "Job queue", f"There is no {stack.job_queue}", "Modify or create the stack anew."
        )
    state: Any = queues[0]
    detail = f"{stack.job_queue}: {state['state']}, {state['status']}"
    if (state["state"], state["status"]) == ("ENABLED", "VALID"):
        return Finding("good", "Job queue", detail)
    return Finding(
        "bad",
        "Job queue",
        f"{detail} {state.get('statusReason', '')}",
        "Enable it in the Batch console.",
    )


def _image(clients: Clients, _settings: Settings, stack: StackOutputs) -> Finding:
    """Worker image."""
    definition = latest_definition(clients.batch, stack.job_definition)
    if definition is None:
        return Finding(
            "bad", "Worker image", f"No job definition {stack.job_definition}", "Modify the stack."
        )
    image = definition["containerProperties"]["image"]
    place = _ECR.match(image)
    if place is None:
        return Finding(
            "note", "Worker image", f"{image}, which is in no repository of ECR: not looked up"
        )
    region, repository, tag = place.groups()
    try:
        clients.ecr(region).describe_images(
            repositoryName=repository, imageIds=[{"imageTag": tag or "latest"}]
        )
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise
        return Finding(
            "bad", "Worker image", f"{image} is not there", "Build the image and push it."
        )
    return Finding("good", "Worker image", image)


def libraries() -> dict[str, str]:
    """Return the versions of what blocks stand on, of that which can be imported."""
    found = {"Python": platform.python_version()}
    for name, attribute in _LIBRARIES:
        with contextlib.suppress(ImportError):
            found[name] = str(getattr(importlib.import_module(name), attribute, "unknown"))
    return found


def _worker(settings: Settings) -> Iterator[Finding]:
    from rios_plugin_awsbatch.hosts.executor import BatchExecutor  # noqa: PLC0415 - starts what it is for only when asked to

    try:
        with BatchExecutor(1, settings) as executor:
            theirs = executor.submit(libraries).result()
    except AWSBatchException as error:
        yield Finding("bad", "Worker", str(error), "Look into the log stream of the job as well.")
        return
    yield Finding(
        "good", "Worker", f"answers, with {', '.join(' '.join(one) for one in theirs.items())}"
    )
    for name, ours in libraries().items():
        if theirs.get(name) != ours:
            remedy = (
                "Build the image with what is here, or run scripts in it, if the function uses it."
            )
            yield Finding(
                "note",
                f"{name} of the worker",
                f"{theirs.get(name, 'none')}; here is {ours}",
                remedy,
            )
