"""The walk through the promises: verdicts, what the embedded AWS may show, and the end."""

import functools

import pytest
from botocore.exceptions import ClientError

from rios_plugin_awsbatch.acceptance import walk as module
from rios_plugin_awsbatch.acceptance.records import NotShownError, Observed, Promise
from rios_plugin_awsbatch.acceptance.site import Site
from rios_plugin_awsbatch.acceptance.walk import PROMISES, chosen, estimate, walk
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.settings import Settings, load
from rios_plugin_awsbatch.stack.outputs import read_stack
from tests.support.helpers import eventually

DENIED = ClientError({"Error": {"Code": "AccessDenied"}}, "CreateQueue")


@pytest.fixture
def site(owner):  # noqa: ARG001 - it is where the site is
    """A site on the embedded AWS; everything it has made is gone afterwards."""
    clients, settings = Clients("ap-southeast-2"), load(Settings)
    made = Site(clients, settings, read_stack(clients, settings), embedded=True)
    yield made
    assert made.take_down()


@pytest.fixture
def nowhere():
    """A site for checks that ask no AWS; to them, it is the real one."""
    return Site(Clients("ap-southeast-2"), None, None, embedded=False)


@pytest.fixture
def emulated(nowhere):
    """The same, taken for the embedded AWS."""
    nowhere.embedded = True
    return nowhere


def promise(check, **more):
    return Promise("group.name", "It works.", "https://docs", check, **more)


def raising(error):
    def check(_site):
        raise error

    return check


def verdict_of(site, one):
    (outcome,) = walk(site, [one])
    return outcome.verdict, outcome.detail


@pytest.mark.parametrize(
    ("check", "verdict", "detail"),
    [
        (lambda _: Observed(kept=True, detail="seen"), "kept", "seen"),
        (lambda _: Observed(kept=False, detail="seen"), "broken", "seen"),
        (raising(NotShownError("no Spot")), "not shown", "no Spot"),
        (raising(DENIED), "not shown", "these credentials do not allow that"),
        (raising(AWSBatchException("no worker")), "failed", "no worker"),
        (raising(TimeoutError("too late")), "failed", "too late"),
    ],
)
def test_what_a_check_sees_is_the_verdict(nowhere, check, verdict, detail):
    """What cannot be tried is neither kept nor broken."""
    got, why = verdict_of(nowhere, promise(check))
    assert (got, detail in why) == (verdict, True)


@pytest.mark.parametrize("kept", [True, False])
def test_the_embedded_aws_never_keeps_a_promise_of_aws_s(emulated, kept):
    """The check is made all the same, so that it works where it counts."""
    verdict, detail = verdict_of(emulated, promise(lambda _: Observed(kept, "seen")))
    assert verdict == "not shown"
    assert detail == "the embedded AWS cannot show it; the check saw: seen"


def test_a_check_that_only_aws_can_have_is_not_made_elsewhere(emulated):
    """It is listed."""
    verdict, _ = verdict_of(emulated, promise(raising(AssertionError()), where="aws"))
    assert verdict == "not shown"


def test_the_embedded_aws_keeps_a_promise_of_this_package_s(emulated):
    """It is about our own code."""
    one = promise(lambda _: Observed(kept=True, detail="seen"), where="anywhere")
    assert verdict_of(emulated, one) == ("kept", "seen")


def test_requests_are_counted_for_each_promise(site):
    """With what jobs have used, they make its cost."""

    def check(site):
        site.queue()
        return Observed(kept=True, detail="", vcpu_seconds=7)

    first, second = walk(site, [promise(check), promise(lambda _: Observed(kept=True, detail=""))])
    assert first.cost.requests == {"sqs.CreateQueue": 1}
    assert first.cost.vcpu_seconds == 7
    assert second.cost.count == 0


def test_a_bug_goes_through_and_what_was_made_is_taken_down(site, cloud):
    """As does Ctrl-C: whoever walks takes down in any case."""

    def check(site):
        site.queue()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(walk(site, [promise(check)]))
    assert cloud.run_queues()
    assert site.take_down()
    assert not cloud.run_queues()


def test_a_job_that_was_submitted_is_ended(site, cloud):
    """By its name, so that one whose answer was lost is ended as well."""
    site.will_submit()
    cloud.batch.submit_job(
        jobName=site.job_name,
        jobQueue=site.stack.job_queue,
        jobDefinition=site.stack.job_definition,
    )
    assert site.take_down()
    eventually(lambda: not cloud.unfinished_jobs())


def test_what_cannot_be_taken_down_is_told(nowhere, caplog):
    """And the other steps are taken."""
    taken = []
    nowhere.later("do the first", lambda: taken.append(1))
    nowhere.later("do the second", functools.partial(raising(DENIED), nowhere))
    assert not nowhere.take_down()
    assert taken == [1]
    assert "could not do the second" in caplog.text


def test_promises_are_chosen_by_name_and_by_group():
    """In the order of the walk; a misspelt name is told."""
    assert [one.name for one in chosen(["runs.numbers", "queues"])] == [
        *(one.name for one in PROMISES if one.group == "queues"),
        "runs.numbers",
    ]
    assert chosen([]) == PROMISES
    with pytest.raises(AWSBatchException, match="no promise nothing"):
        chosen(["queues", "nothing"])


def test_each_promise_has_a_document_and_a_name_of_its_own():
    """Else nobody could say what it rests on."""
    assert len({one.name for one in PROMISES}) == len(PROMISES)
    for one in PROMISES:
        assert one.document.startswith(("https://docs.aws.amazon.com/", "README.md", "docs/"))
        assert one.text.endswith(".")
        assert "." in one.name


def test_an_estimate_comes_first():
    """Minutes and dollars of all that will be tried."""
    minutes, cost = estimate(PROMISES)
    assert 10 < minutes < 240
    assert 0.001 < cost.dollars < 1
    assert module.estimate([])[1].dollars == 0


@pytest.mark.parametrize(
    "name",
    [one.name for one in PROMISES if one.where != "aws" and one.group in {"queues", "jobs"}],
)
def test_a_check_of_queues_or_jobs_works_on_the_embedded_aws(site, name):
    """What it shows there is nothing, but that it works."""
    (outcome,) = walk(site, chosen([name]))
    assert outcome.verdict == "not shown", outcome
    assert "the check saw: " in outcome.detail


def test_checks_with_workers_work_on_the_embedded_aws(site):
    """The numbers are right, nothing is left; SIGTERM reaches the worker."""
    names = ["containers.init", "containers.sigterm", "runs.numbers", "runs.nothing-left"]
    outcomes = {one.promise.name: one for one in walk(site, chosen(names))}
    for name in names[:2]:
        assert outcomes[name].verdict == "not shown", outcomes[name]
        assert "the check saw: " in outcomes[name].detail
    for name in names[2:]:
        assert outcomes[name].verdict == "kept", outcomes[name]


def test_checks_of_a_stack_work_on_the_embedded_aws(site, cloud):
    """One of its own is created, changed and deleted."""
    outcomes = list(walk(site, chosen(["stacks"])))
    assert {one.verdict for one in outcomes} == {"not shown"}, outcomes
    stacks = cloud.cloudformation.describe_stacks()["Stacks"]
    assert site.stack_name not in {one["StackName"] for one in stacks}
