"""The commands on jobs while a proxy, or nobody, answers in AWS's place."""

import pytest

from rios_plugin_awsbatch.local import LocalAWS
from tests.jobs.support import run, start, submit
from tests.support.faults import Faults, Rule


@pytest.fixture(scope="module")
def faults():
    """An embedded AWS, which this process uses, and what is to go wrong with it."""
    with (
        LocalAWS(workers=1, stop_grace=1.0, middleware="tests.support.faults:factory") as aws,
        aws.activated(),
    ):
        yield Faults(aws.endpoint)


@pytest.mark.parametrize("fault", ["html", "drop"])
def test_whoever_follows_a_job_waits_for_the_end_of_an_outage(faults, script, fault):
    """However long it takes; the log is shown to its end, and nothing of it twice."""
    code = "for number in range(3): print('line', number)"
    with faults.injected(
        Rule(fault, "batch", "describejobs", spare=1, times=2), Rule(fault, "logs", times=2)
    ):
        ended = submit(script(code), "--follow")
    assert ended.code == 0, ended
    assert [line for line in ended.out.splitlines() if "line " in line] == [
        "line 0",
        "line 1",
        "line 2",
    ]
    assert f"Job {ended.job} succeeded." in ended.err


def test_whoever_follows_a_job_can_leave_in_an_outage(faults, script):
    """Ctrl-C ends it at once, and the job goes on."""
    ended = submit(script("import time; time.sleep(600)"))
    with faults.injected(Rule("html", "batch", "describejobs")):
        watching = start("rios-awsbatch", "-vv", "logs", "--follow", ended.job)
        for line in watching.stderr:
            if "will try again" in line:
                break
        watching.send_signal(2)
        _, err = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert f"Job {ended.job} goes on." in err
    run("rios-awsbatch", "cancel", ended.job)


@pytest.mark.parametrize(
    ("command", "rule", "sentence"),
    [
        (["jobs"], Rule("html", "batch", "listjobs"), "Cannot list the jobs of stack RIOS"),
        (["logs", "0" * 8], Rule("html", "batch", "listjobs"), "Cannot list the jobs"),
        (["clean"], Rule("html", "s3"), "Cannot clean up stack RIOS in ap-southeast-2: "),
        (["stack", "status"], Rule("html", "cloudformation"), "Cannot look at stack RIOS"),
        (["image", "path"], Rule("html", "cloudformation"), "Cannot read stack RIOS"),
        (["doctor"], Rule("html", "sts"), "AWS credentials: the answer to GetCallerIdentity"),
    ],
)
def test_a_command_that_gets_html_says_so_in_one_sentence(faults, command, rule, sentence):
    """What a proxy answers is never a traceback, and never taken for an answer."""
    with faults.injected(rule):
        ended = run("rios-awsbatch", *command)
    assert ended.code == 1
    assert sentence in ended.out + ended.err
    assert "did not come from AWS" in ended.out + ended.err
    assert "Traceback" not in ended.err
