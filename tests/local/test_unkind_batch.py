"""Batch in unkind mode: late, forgetful, and with machines that vanish."""

import re

import pytest

from tests.local.support import STUBBORN, Account
from tests.support.helpers import eventually

ALWAYS = (1.0, 0.0, 0.0)
REASON = r"Host EC2 \(instance i-[0-9a-f]{17}\) terminated\."
RETRIED = {"attempts": 2, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "RETRY"}]}
ONCE = {"attempts": 1}
# Says what it got on SIGTERM, and ends.
POLITE = "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def customer(local_aws):
    """An account whose clients are treated as everybody's; each test says how."""
    return Account(local_aws, spared=False)


@pytest.fixture
def odds(local_aws):
    return local_aws.control.odds


@pytest.fixture
def control(local_aws, odds):
    """Orders to an AWS that is kind but for them."""
    with odds():
        yield local_aws.control


def listed(account, identity):
    """Return ListJobs' entry of a job, in whatever status; None if there is none."""
    name = {"name": "JOB_NAME", "values": ["test"]}
    answer = account.batch.list_jobs(jobQueue=account.job_queue, filters=[name])
    return {job["jobId"]: job for job in answer["jobSummaryList"]}.get(identity)


def test_a_new_job_is_unknown_for_a_while(customer, account, odds):
    """DescribeJobs answers without it, and ListJobs does not list it; who is spared sees it."""
    with odds(job_unknown=(1.0, 0.5, 0.5), job_unlisted=(1.0, 0.5, 0.5)):
        identity = customer.shell("exit 0")
        assert customer.batch.describe_jobs(jobs=[identity])["jobs"] == []
        assert listed(customer, identity) is None
        assert account.job(identity)["jobId"] == identity
        eventually(lambda: customer.batch.describe_jobs(jobs=[identity])["jobs"])
        eventually(lambda: listed(customer, identity))
    account.ended(identity)


def test_a_list_of_jobs_lacks_the_job_definition(customer, account, odds):
    with odds(no_job_definition=ALWAYS):
        identity = customer.shell("exit 0")
        assert "jobDefinition" not in listed(customer, identity)
        assert "jobDefinition" in customer.job(identity)
    account.ended(identity)


def test_the_summary_of_an_array_is_late(customer, account, odds):
    """The children have ended, and their parent's summary does not say so yet."""
    with odds(summary_late=(1.0, 60.0, 60.0)):
        identity = customer.shell("exit 0", arrayProperties={"size": 2})
        for index in range(2):
            account.ended(f"{identity}:{index}")
        late = customer.job(identity)["arrayProperties"]["statusSummary"]
        true = account.job(identity)["arrayProperties"]["statusSummary"]
    assert late["SUCCEEDED"] == 0
    assert true["SUCCEEDED"] == sum(late.values()) == 2


def test_a_lost_answer_to_a_submission_makes_a_second_job(customer, account, odds):
    """boto3 repeats the request, which has been carried out."""
    name = "lost-answer"
    with odds(submit_lost=(0.5, 0.0, 0.0)):
        known = {customer.shell("exit 0", jobName=name) for _ in range(5)}
    found = account.batch.list_jobs(
        jobQueue=account.job_queue, filters=[{"name": "JOB_NAME", "values": [name]}]
    )["jobSummaryList"]
    ids = {job["jobId"] for job in found}
    assert known < ids
    for identity in ids:
        account.ended(identity)


def test_a_job_is_runnable_for_a_while(customer, account, odds):
    with odds(runnable=(1.0, 0.3, 0.3)):
        identity = customer.shell("exit 0")
        assert account.job(identity)["status"] == "RUNNABLE"
        assert account.ended(identity)["status"] == "SUCCEEDED"


def test_a_machine_vanishes_by_chance(customer, account, odds):
    """Once for each job at most."""
    with odds(vanishes=(1.0, 0.1, 0.1)):
        identity = customer.shell("sleep 0.5", retryStrategy=RETRIED)
        job = account.ended(identity)
    lost, done = job["attempts"]
    assert job["status"] == "SUCCEEDED"
    assert lost["statusReason"].startswith("Host EC2 (instance i-")
    assert "exitCode" not in lost["container"]
    assert done["container"]["exitCode"] == 0


def test_a_machine_vanishes_by_order(account, control):
    """Its job gets no SIGTERM, and has no exit code."""
    identity = account.shell(POLITE, retryStrategy=ONCE)
    account.first_output(identity)
    control.vanish(identity)
    job = account.ended(identity)
    assert job["status"] == "FAILED"
    assert re.fullmatch(REASON, job["statusReason"])
    assert "exitCode" not in job["container"]
    assert account.output(job) == ["up"]


def test_all_machines_of_an_array_are_reclaimed(account, control):
    """Each child gets SIGTERM, and may end in order."""
    identity = account.shell(POLITE, arrayProperties={"size": 2})
    children = [f"{identity}:{index}" for index in range(2)]
    for child in children:
        account.first_output(child)
    control.reclaim(identity)
    for child in children:
        job = account.ended(child)
        assert job["status"] == "SUCCEEDED"
        assert account.output(job) == ["up", "told"]


def test_a_job_that_does_not_heed_a_reclaim_is_killed(account, control):
    """Then the machine is what has ended it."""
    identity = account.shell(STUBBORN, retryStrategy=ONCE)
    account.first_output(identity)
    control.reclaim(identity, grace=0.1)
    job = account.ended(identity)
    assert job["statusReason"].startswith("Host EC2 (instance i-")
    assert "exitCode" not in job["container"]


def test_jobs_of_others_hold_all_places(account, control):
    """A job stays RUNNABLE until they end."""
    with control.occupied():
        identity = account.shell("exit 0")
        assert account.job(identity)["status"] == "RUNNABLE"
    assert account.ended(identity)["status"] == "SUCCEEDED"


def test_a_timeout_of_hours_is_reached_at_once(account, control):
    """Where the clock is put forward."""
    identity = account.shell("sleep 1000", timeout={"attemptDurationSeconds": 7200})
    account.in_status(identity, "RUNNING")
    control.advance(7100)
    assert account.job(identity)["status"] == "RUNNING"
    control.advance(101)
    assert account.ended(identity)["statusReason"] == "Job attempt duration exceeded timeout"


class TestFirstProcess:
    """A container's command is process 1, unless the job definition has an init process."""

    def run(self, customer, odds, script, *, init=False):
        linux = {"initProcessEnabled": init}
        container = {"image": "x", "vcpus": 1, "memory": 100, "linuxParameters": linux}
        name = f"first-{init}"
        customer.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container
        )
        with odds(first_process=ALWAYS):
            return customer.shell(script, definition=name)

    def test_it_is_process_1(self, customer, account, odds):
        job = account.ended(self.run(customer, odds, "echo $$"))
        assert account.output(job) == ["1"]

    def test_it_sees_its_own_processes_only(self, customer, account, odds):
        job = account.ended(self.run(customer, odds, "ls -d /proc/[0-9]* | wc -l"))
        assert int(account.output(job)[0]) < 5

    def test_it_does_not_hear_sigterm_without_a_handler(self, customer, account, odds):
        """SIGKILL ends it after the grace, with all that it has started."""
        identity = self.run(customer, odds, "echo up; sleep 1000 & wait")
        account.first_output(identity)
        account.batch.terminate_job(jobId=identity, reason="enough")
        job = account.ended(identity)
        assert (job["container"]["exitCode"], job["statusReason"]) == (137, "enough")
        eventually(lambda: not account.worker_processes())

    def test_it_hears_sigterm_with_one(self, customer, account, odds):
        identity = self.run(customer, odds, POLITE)
        account.first_output(identity)
        account.batch.terminate_job(jobId=identity, reason="enough")
        job = account.ended(identity)
        assert job["container"]["exitCode"] == 0
        assert account.output(job) == ["up", "told"]

    def test_an_init_process_passes_sigterm_on(self, customer, account, odds):
        identity = self.run(customer, odds, "echo $$; exec sleep 1000", init=True)
        (line,) = account.first_output(identity)
        account.batch.terminate_job(jobId=identity, reason="enough")
        assert account.ended(identity)["container"]["exitCode"] == 143
        assert line != "1"
