"""What to say about workers that do not come, or have ended: all that is known of why."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import advice_for

from .launch import WorkerJob
from .roster import Roster
from .waiting import Waiting

if TYPE_CHECKING:
    from mypy_boto3_batch.literals import JobStatusType

__all__ = ["LastWords", "sentence_about_ended", "sentence_about_late"]

# Says how the logs of workers end, from Batch's descriptions of them.
LastWords: TypeAlias = Callable[[Iterable[Any]], Sequence[str]]


def sentence_about_late(
    run_id: str, jobs: Iterable[WorkerJob], waiting: Waiting, last_words: LastWords
) -> str:
    """Say where workers are that should be ready, what they have logged, and what to do."""
    words = _logged(run_id, jobs, "RUNNING", last_words) if waiting.counts.get("RUNNING") else ()
    return f"{'; '.join([str(waiting), *words])}. {waiting.advice}"


def sentence_about_ended(jobs: Iterable[WorkerJob], roster: Roster, last_words: LastWords) -> str:
    """Say why all workers have ended, in their own words first, and what to do."""
    words = roster.last_words
    if not words and not roster.ready_since_launch:
        words = _logged(roster.run_id, jobs, "FAILED", last_words)
    said = [*words, *roster.reasons] or ["Batch gives no reason"]
    return f"{' | '.join(said)}. {advice_for(' '.join(said))}"


def _logged(
    run_id: str, jobs: Iterable[WorkerJob], status: "JobStatusType", last_words: LastWords
) -> tuple[str, ...]:
    """Say how the logs of a few workers in a state end; nothing if they cannot be read."""
    with attempted(run_id, "read the logs of workers"):
        return tuple(last_words([worker for job in jobs for worker in job.some(status)]))
    return ()
