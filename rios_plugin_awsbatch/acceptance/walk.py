"""The walk through the promises: each is tried, and becomes an outcome."""

import collections
import time
from collections.abc import Iterable, Iterator, Sequence

from rios_plugin_awsbatch.aws.codes import DENIED
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, error_code, sentence_for
from rios_plugin_awsbatch.errors import AWSBatchException

from . import containers, jobs, queues, runs, stacks
from .prices import Cost
from .records import NotShownError, Outcome, Promise, Verdict
from .site import Site

__all__ = ["PROMISES", "chosen", "estimate", "walk"]

PROMISES: tuple[Promise, ...] = (
    *queues.PROMISES,
    *jobs.PROMISES,
    *containers.PROMISES,
    *runs.PROMISES,
    *stacks.PROMISES,
)
_NOT_HERE = "the embedded AWS cannot show it"


def chosen(names: Sequence[str]) -> tuple[Promise, ...]:
    """Return the promises of these names or groups, in their order; all, if there are no names.

    Raises:
        AWSBatchException: There is no such promise and no such group.
    """
    known = {promise.name for promise in PROMISES} | {promise.group for promise in PROMISES}
    unknown = sorted(set(names) - known)
    if unknown:
        raise AWSBatchException(
            f"There is no promise {', '.join(unknown)}; `rios-awsbatch acceptance --list` lists "
            "them."
        )
    return tuple(
        promise for promise in PROMISES if not names or {promise.name, promise.group} & set(names)
    )


def estimate(promises: Iterable[Promise]) -> tuple[float, Cost]:
    """Return how many minutes promises take, and what they cost, about."""
    listed = list(promises)
    used = sum(promise.vcpu_seconds for promise in listed)
    requests = collections.Counter({"sqs.SendMessage": 200 * len(listed)})
    return sum(promise.minutes for promise in listed), Cost(requests, used)


def walk(site: Site, promises: Iterable[Promise]) -> Iterator[Outcome]:
    """Try promises, one after the other.

    Yields:
        What became of each, as soon as that is known. Whoever reads calls the site's `take_down`.
    """
    for promise in promises:
        if site.embedded and promise.where == "aws":
            yield Outcome(promise, "not shown", _NOT_HERE, 0.0, Cost())
            continue
        site.say(promise.name)
        yield _outcome(site, promise)


def _outcome(site: Site, promise: Promise) -> Outcome:
    begun, before = time.monotonic(), site.clients.counted()
    verdict, detail, used = _tried(site, promise)
    requests = site.clients.counted() - before
    return Outcome(promise, verdict, detail, time.monotonic() - begun, Cost(requests, used))


def _tried(site: Site, promise: Promise) -> tuple[Verdict, str, float]:
    try:
        observed = promise.check(site)
    except NotShownError as error:
        return "not shown", str(error), 0.0
    except (AWSBatchException, TimeoutError, *AWS_ERRORS) as error:
        denied = error_code(error) in DENIED
        return "not shown" if denied else "failed", sentence_for(error), 0.0
    if site.embedded and promise.where != "anywhere":
        return "not shown", f"{_NOT_HERE}; the check saw: {observed.detail}", observed.vcpu_seconds
    return "kept" if observed.kept else "broken", observed.detail, observed.vcpu_seconds
