"""Arrays, capacity, termination, timeouts and retries of jobs."""

import pytest

from tests.support.helpers import WORKERS, alive, eventually

RETRY_ON_4 = {"onExitCode": "4", "action": "RETRY"}
EXIT_ON_4X = {"onExitCode": "4*", "action": "EXIT"}


def test_array(account):
    """Each child has its index and its state; the parent counts them, and fails if one does."""
    identity = account.shell("exit $AWS_BATCH_JOB_ARRAY_INDEX", arrayProperties={"size": 3})
    parent = account.ended(identity)
    assert (parent["status"], parent["arrayProperties"]["size"]) == ("FAILED", 3)
    summary = parent["arrayProperties"]["statusSummary"]
    assert (summary["SUCCEEDED"], summary["FAILED"], sum(summary.values())) == (1, 2, 3)
    children = [account.job(f"{identity}:{index}") for index in range(3)]
    assert [child["status"] for child in children] == ["SUCCEEDED", "FAILED", "FAILED"]
    assert [child["arrayProperties"]["index"] for child in children] == [0, 1, 2]
    assert [child["container"]["exitCode"] for child in children] == [0, 1, 2]


def test_array_that_succeeds(account):
    """The parent of an array is SUCCEEDED when all of its children are."""
    parent = account.ended(account.shell("exit 0", arrayProperties={"size": 6}))
    assert (parent["status"], parent["arrayProperties"]["statusSummary"]["SUCCEEDED"]) == (
        "SUCCEEDED",
        6,
    )


def test_capacity(account):
    """`workers` jobs run at once; the others are RUNNABLE until one ends, the parent PENDING."""
    identity = account.shell("sleep 1000", arrayProperties={"size": WORKERS + 3})

    def counts():
        parent = account.job(identity)
        assert parent["status"] == "PENDING"
        summary = parent["arrayProperties"]["statusSummary"]
        return [summary["RUNNING"], summary["RUNNABLE"]]

    eventually(lambda: counts() == [WORKERS, 3])
    account.batch.terminate_job(jobId=f"{identity}:0", reason="make room")
    account.in_status(f"{identity}:{WORKERS}", "RUNNING")
    assert counts() == [WORKERS, 2]
    account.batch.terminate_job(jobId=identity, reason="enough")
    account.ended(identity)


def test_no_capacity(idle_account):
    """With no workers, jobs stay RUNNABLE, and one that is terminated there is FAILED at once."""
    identity = idle_account.shell("true")
    assert idle_account.job(identity)["status"] == "RUNNABLE"
    idle_account.batch.terminate_job(jobId=identity, reason="not needed")
    job = idle_account.job(identity)
    assert (job["status"], job["statusReason"], job["attempts"]) == ("FAILED", "not needed", [])


def test_terminate_sends_sigterm(account):
    """A job that is terminated gets SIGTERM, is FAILED for the given reason, and not retried."""
    script = "trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    identity = account.shell(script, retryStrategy={"attempts": 3})
    assert account.first_output(identity) == ["ready"]
    account.batch.terminate_job(jobId=identity, reason="enough")
    job = account.ended(identity)
    assert (job["status"], job["statusReason"], len(job["attempts"])) == ("FAILED", "enough", 1)
    assert job["container"]["exitCode"] == 0
    assert account.output(job) == ["ready", "got TERM"]


def test_terminate_kills_who_ignores_sigterm(account):
    """A job that ignores SIGTERM is killed after the grace time, with what it started."""
    identity, pids = account.stubborn_job()
    account.batch.terminate_job(jobId=identity, reason="enough")
    job = account.ended(identity)
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 137)
    eventually(lambda: not any(map(alive, pids)))


def test_terminate_array(account):
    """Terminating an array's parent ends all of its children, running or not."""
    identity = account.shell("sleep 1000", arrayProperties={"size": 8})
    account.in_status(f"{identity}:0", "RUNNING")
    account.batch.terminate_job(jobId=identity, reason="enough")
    parent = account.ended(identity)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "enough")
    assert parent["arrayProperties"]["statusSummary"]["FAILED"] == 8
    reasons = {account.job(f"{identity}:{index}")["statusReason"] for index in range(8)}
    assert reasons == {"enough"}


def test_cancel_spares_what_has_started(account):
    """cancel_job ends those of an array's children that have not started, and no others."""
    identity = account.shell("sleep 1000", arrayProperties={"size": WORKERS + 2})

    def counts():
        summary = account.job(identity)["arrayProperties"]["statusSummary"]
        return [summary["RUNNING"], summary["FAILED"]]

    eventually(lambda: counts() == [WORKERS, 0])
    account.batch.cancel_job(jobId=identity, reason="changed my mind")
    assert counts() == [WORKERS, 2]
    account.batch.terminate_job(jobId=identity, reason="enough")
    account.ended(identity)


def test_timeout(account):
    """A job that takes longer than its timeout is ended for Batch's reason, and not retried."""
    identity = account.shell(
        "sleep 1000", timeout={"attemptDurationSeconds": 1}, retryStrategy={"attempts": 3}
    )
    job = account.ended(identity)
    assert (job["status"], job["statusReason"]) == (
        "FAILED",
        "Job attempt duration exceeded timeout",
    )
    assert len(job["attempts"]) == 1


def test_retries_until_it_succeeds(account):
    """A job is retried while it has attempts left; each has its number and its own log."""
    identity = account.shell(
        "echo attempt $AWS_BATCH_JOB_ATTEMPT; test $AWS_BATCH_JOB_ATTEMPT = 3",
        retryStrategy={"attempts": 5},
    )
    job = account.ended(identity)
    assert (job["status"], account.output(job)) == ("SUCCEEDED", ["attempt 3"])
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 1, 0]
    assert len({attempt["container"]["logStreamName"] for attempt in job["attempts"]}) == 3


def test_retry_strategy_of_the_definition(account):
    """Without a strategy of its own, a job has the definition's."""
    definition = account.define(retryStrategy={"attempts": 2})
    assert len(account.ended(account.shell("exit 1", definition=definition))["attempts"]) == 2
    own = account.shell("exit 1", definition=definition, retryStrategy={"attempts": 1})
    assert len(account.ended(own)["attempts"]) == 1


@pytest.mark.parametrize(
    ("code", "rules", "attempts"),
    [
        (1, [EXIT_ON_4X], 3),
        (44, [EXIT_ON_4X], 1),
        (4, [RETRY_ON_4, EXIT_ON_4X], 3),
        (4, [EXIT_ON_4X, RETRY_ON_4], 1),
        (1, [RETRY_ON_4, {"onReason": "*", "action": "EXIT"}], 1),
        (
            1,
            [
                {"onStatusReason": "Host EC2*", "action": "RETRY"},
                {"onReason": "*", "action": "exit"},
            ],
            1,
        ),
        (1, [{"onStatusReason": "Essential*", "onExitCode": "2", "action": "EXIT"}], 3),
        (2, [{"onStatusReason": "Essential*", "onExitCode": "2", "action": "EXIT"}], 1),
    ],
)
def test_evaluate_on_exit(account, code, rules, attempts):
    """The first rule whose patterns all match decides; if none does, the job is retried."""
    identity = account.shell(f"exit {code}", retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    assert len(account.ended(identity)["attempts"]) == attempts
