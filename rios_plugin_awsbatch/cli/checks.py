"""What ``rios-awsbatch doctor`` checks, and what to do about what is not good.

The nearest things come first: the installation, RIOS, the settings, AWS, the stack, a worker.
"""

import contextlib
import dataclasses
import importlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Literal, TypeAlias

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_denied, sentence_for
from rios_plugin_awsbatch.aws.region import session_region
from rios_plugin_awsbatch.errors import AWSBatchException, StackError
from rios_plugin_awsbatch.hosts.executor import BatchExecutor
from rios_plugin_awsbatch.jobs.submit import THREADS
from rios_plugin_awsbatch.local.options import SERVER
from rios_plugin_awsbatch.run.luck import EMBEDDED
from rios_plugin_awsbatch.run.runtimes import SUBMITTED_FILES
from rios_plugin_awsbatch.settings import PREFIX, Settings, WorkerSettings, load, variables
from rios_plugin_awsbatch.stack.outputs import RUNS_NEED, StackOutputs, read_stack
from rios_plugin_awsbatch.stack.worker_image import NamedImage, known_to_ecr, named_image
from rios_plugin_awsbatch.wire.image_tag import differences, versions_here

from .hook import AUTOLOAD, managers

__all__ = ["Check", "Finding", "examine", "libraries"]

Verdict: TypeAlias = Literal["good", "note", "bad"]

_REQUIRED: Final = ("rios-plugin-awsbatch", "boto3", "cloudpickle", "numpy")
# Module, its attribute with the version, and how to get it.
_OPTIONAL: Final = (
    ("rios", "RIOS_VERSION", "To use RIOS, install it from conda-forge or from its GitHub page."),
    (
        "osgeo.gdal",
        "__version__",
        'Install GDAL: pip install "gdal[numpy]==$(gdal-config --version)".',
    ),
)
# What main and workers should have in the same version.
_COMPARED: Final = (
    ("cloudpickle", "__version__"),
    ("numpy", "__version__"),
    ("osgeo.gdal", "__version__"),
    ("rios", "RIOS_VERSION"),
)
# Set by this package itself, or read before there are settings.
_NO_SETTINGS: Final = {AUTOLOAD, EMBEDDED, SUBMITTED_FILES, THREADS}
_LIKE_HERE: Final = (
    "Build an image like this environment and push it: rios-awsbatch image build, "
    "rios-awsbatch image push."
)
_PUSH: Final = "Push the image with rios-awsbatch image push, which gives it such a tag."


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        verdict: ``good``; ``bad``; or ``note`` for what is not wrong but worth knowing.
        what: What was checked.
        detail: What was found.
        remedy: What to do; empty if there is nothing to do.
    """

    verdict: Verdict
    what: str
    detail: str
    remedy: str = ""


# Verdict, detail, remedy.
Outcome: TypeAlias = tuple[Verdict, str, str]


@dataclasses.dataclass(frozen=True)
class Check:
    """A check of a part of the stack.

    Attributes:
        what: What it checks.
        make: Makes it.
    """

    what: str
    make: Callable[[Clients, Settings, StackOutputs], Outcome]

    def finding(self, clients: Clients, settings: Settings, stack: StackOutputs) -> Finding:
        """Make the check; an error of AWS's is a finding too."""
        try:
            verdict, detail, remedy = self.make(clients, settings, stack)
        except AWS_ERRORS as error:
            remedy = "Ask for the permission, or see whether the stack is complete."
            return Finding("bad", self.what, sentence_for(error), remedy)
        return Finding(verdict, self.what, detail, remedy)


def examine(*, ask_worker: bool = False) -> Iterator[Finding]:
    """Check everything.

    Args:
        ask_worker: Whether to start a worker and compare its versions; on AWS, that takes minutes
            and costs a little.

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
    for package in _REQUIRED:
        yield Finding("good", package, importlib.metadata.version(package))
    for name, attribute, remedy in _OPTIONAL:
        try:
            yield Finding("good", name, str(getattr(importlib.import_module(name), attribute)))
        except ImportError as error:
            yield Finding("note", name, f"cannot be imported ({error})", remedy)


def _registered() -> Iterator[Finding]:
    for manager in managers():
        what = f"{manager.kind} in RIOS"
        if manager.ours:
            yield Finding("good", what, f"{manager.name} of this package")
        else:
            off = os.environ.get(AUTOLOAD) == "0"
            remedy = (
                f"Unset {AUTOLOAD}."
                if off
                else "Install this package again, or import rios_plugin_awsbatch."
            )
            yield Finding("bad", what, f"RIOS would take {manager.name}", remedy)


def _in_force(settings: Settings) -> Iterator[Finding]:
    for field, names in variables(Settings).items():
        value = getattr(settings, field)
        source = next((name for name in names if os.environ.get(name)), None)
        if field == "region" and source is None:
            source = _source_of_region()
        if value is not None:
            origin = f"from {source}" if source else "default"
            yield Finding("good", names[0], f"{value} ({origin})")
    known = {
        name
        for model in (Settings, WorkerSettings)
        for names in variables(model).values()
        for name in names
    }
    for name in sorted(os.environ.keys() - known - _NO_SETTINGS):
        if name.startswith(PREFIX):
            yield Finding(
                "note", name, "is not a setting of this package", "Correct its name, or unset it."
            )


def _source_of_region() -> str | None:
    found = session_region()
    return None if found is None else found.source


def _reachable(settings: Settings) -> Generator[Finding, None, StackOutputs | None]:
    try:
        clients = Clients(settings.region)
        who = clients.sts.get_caller_identity()["Arn"]
        where = " on the embedded AWS" if _is_embedded(clients) else ""
    except AWS_ERRORS as error:
        yield Finding("bad", "AWS credentials", sentence_for(error))
        return None
    yield Finding("good", "AWS credentials", f"{who}{where}")
    where = str(StackOutputs(settings.stack, settings.region))
    what = where[0].upper() + where[1:]
    try:
        stack = read_stack(clients, settings, *RUNS_NEED)
    except StackError as error:
        yield Finding("bad", what, str(error), _remedy_for(error))
        return None
    yield Finding("good", what, f"at most {stack.max_jobs} workers at once")
    for check in _CHECKS:
        yield check.finding(clients, settings, stack)
    return stack


def _remedy_for(error: StackError) -> str:
    """Say what to do about a stack that cannot be read."""
    cause = error.__context__
    if cause is None:
        return "Create the stack, or set RIOS_AWSBATCH_STACK and RIOS_AWSBATCH_REGION."
    if isinstance(cause, Exception) and is_denied(cause):
        # AWS does not tell whether there is such a stack.
        return (
            "Correct RIOS_AWSBATCH_STACK or RIOS_AWSBATCH_REGION, if the stack has another name; "
            "or get the policy that `rios-awsbatch stack policy --for main` prints for it."
        )
    return ""  # the error says what to do


def _is_embedded(clients: Clients) -> bool:
    answer = clients.sts.get_caller_identity()
    return answer["ResponseMetadata"]["HTTPHeaders"].get("server") == SERVER


def _bucket(clients: Clients, _settings: Settings, stack: StackOutputs) -> Outcome:
    clients.s3.head_bucket(Bucket=stack.bucket)
    return "good", stack.bucket, ""


def _queues(clients: Clients, settings: Settings, stack: StackOutputs) -> Outcome:
    if settings.in_queue and settings.out_queue:
        for url in (settings.in_queue, settings.out_queue):
            clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return "good", f"given: {settings.in_queue}, {settings.out_queue}", ""
    answer = clients.sqs.list_queues(QueueNamePrefix=stack.queue_prefix)
    return "good", f"each run creates its own; there are {len(answer.get('QueueUrls', []))} now", ""


def _job_queue(clients: Clients, _settings: Settings, stack: StackOutputs) -> Outcome:
    queues = clients.batch.describe_job_queues(jobQueues=[stack.job_queue])["jobQueues"]
    if not queues:
        return "bad", f"there is no {stack.job_queue}", "Modify the stack, or create it again."
    queue: Any = queues[0]
    detail = f"{stack.job_queue}: {queue['state']}, {queue['status']}"
    if (queue["state"], queue["status"]) == ("ENABLED", "VALID"):
        return "good", detail, ""
    reason = queue.get("statusReason", "")
    return "bad", f"{detail} {reason}".rstrip(), "Enable it in the Batch console."


def _image(clients: Clients, _settings: Settings, stack: StackOutputs) -> Outcome:
    image = named_image(clients, stack.job_definition)
    if image is None:
        return "bad", f"there is no job definition {stack.job_definition}", "Modify the stack."
    image = known_to_ecr(clients, image)
    if not image.exists and _is_embedded(clients):
        what = "not needed, as the embedded AWS runs jobs on this machine"
        return "good", f"{image.name}; {what}", ""
    if not image.in_ecr:
        return "note", f"{image.name}; not checked, because it is not in ECR", ""
    if not image.exists:
        return "bad", f"{image.name} is not there", "Build the image and push it."
    return _compared(image)


def _compared(image: NamedImage) -> Outcome:
    """Compare an image with this environment."""
    if not image.versions:
        return "note", f"{image.name}; not compared, because no tag tells what is in it", _PUSH
    found = list(differences(image.versions, versions_here()))
    if found:
        verdict: Verdict = "bad" if any(one.decisive for one in found) else "note"
        return verdict, f"{image.name} has {'; '.join(map(str, found))}", _LIKE_HERE
    known = "as here" if image.pinned else "as here; a push changes it for runs that have begun"
    return "good", f"{image.name}, with versions {known}", ""


_CHECKS: Final = (
    Check("Bucket", _bucket),
    Check("Queues", _queues),
    Check("Job queue", _job_queue),
    Check("Worker image", _image),
)


def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that blocks usually need."""
    found = {"Python": platform.python_version()}
    for name, attribute in _COMPARED:
        with contextlib.suppress(ImportError):
            found[name] = str(getattr(importlib.import_module(name), attribute, "unknown"))
    return found


def _worker(settings: Settings) -> Iterator[Finding]:
    try:
        with BatchExecutor(1, settings) as executor:
            theirs = executor.submit(libraries).result()
    except AWSBatchException as error:
        yield Finding("bad", "Worker", str(error), "See the job's log stream as well.")
        return
    versions = ", ".join(f"{name} {version}" for name, version in theirs.items())
    yield Finding("good", "Worker", f"answers, with {versions}")
    for name, ours in libraries().items():
        if theirs.get(name) != ours:
            yield Finding(
                "note",
                f"{name} of the worker",
                f"{theirs.get(name, 'none')}; here it is {ours}",
                "If functions use it, build the image with the version here, or run scripts in it.",
            )
