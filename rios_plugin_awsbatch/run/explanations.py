"""What to say about workers that do not come, or have ended: all that is known of why."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from rios_plugin_awsbatch.aws.attempts import attempted
from rios_plugin_awsbatch.aws.batch import advice_for

from .launch import WorkerJob
from .roster import Roster
from .waiting import Waiting

__all__ = ["LastWords", "sentence_about_ended", "sentence_about_late"]

# Says how the logs of workers end, from Batch's descriptions of them.
LastWords: TypeAlias = Callable[[Iterable[Any]], Sequence[str]]


def sentence_about_late(jobs: Iterable[WorkerJob], waiting: Waiting, last_words: LastWords) -> str:
    """Say where workers are that should be ready, what they have logged, and what to do."""
    running = (worker for job in jobs for worker in job.some("RUNNING"))
    words = last_words(running) if waiting.counts.get("RUNNING") else ()
    return f"{'; '.join([str(waiting), *words])}. {waiting.advice}"


def sentence_about_ended(jobs: Iterable[WorkerJob], roster: Roster, last_words: LastWords) -> str:
    """Say why all workers have ended, in their own words first, and what to do."""
    words: Sequence[str] = roster.last_words
    if not words and not roster.ready_since_launch:
        with attempted(roster.run_id, "read the logs of workers"):
            words = last_words([worker for job in jobs for worker in job.some("FAILED")])
    said = [*words, *roster.reasons] or ["Batch gives no reason"]
    return f"{' | '.join(said)}. {advice_for(' '.join(said))}"
