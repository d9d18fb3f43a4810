"""The embedded AWS does what AWS does: over real HTTP, with real processes."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local import LocalAWS

PATIENCE = 30.0
ENDED = {"SUCCEEDED", "FAILED"}


def eventually(look, message="what was waited for did not happen"):
    """Return the first true value of look(), or fail."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := look():
            return value
        time.sleep(0.01)
    raise AssertionError(message)


class Account:
    """The clients of an embedded AWS, and what the tests do with them."""

    def __init__(self, aws):
        self.aws = aws
        with aws.activated():
            session = boto3.Session()
            for service in ("batch", "cloudformation", "logs", "s3", "sqs"):
                setattr(
                    self, service, session.client(service, config=Config(max_pool_connections=50))
                )
        (stack,) = self.cloudformation.describe_stacks(
            StackName=aws.environment["RIOS_AWSBATCH_STACK"]
        )["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def submit(self, *command, definition=None, environment=None, **more):
        overrides = {
            "environment": [{"name": n, "value": v} for n, v in (environment or {}).items()]
        }
        if command:
            overrides["command"] = list(command)
        request = {
            "jobName": "test",
            "jobQueue": self.outputs["BatchProcessingJobQueueName"],
            "jobDefinition": definition or self.outputs["BatchProcessingJobDefinitionName"],
        }
        return self.batch.submit_job(**request, containerOverrides=overrides, **more)["jobId"]

    def shell(self, script, **more):
        return self.submit("sh", "-c", script, **more)

    def job(self, identity):
        return self.batch.describe_jobs(jobs=[identity])["jobs"][0]

    def in_status(self, identity, *statuses):
        return eventually(
            lambda: (job := self.job(identity))["status"] in statuses and job,
            f"{identity}: {statuses}",
        )

    def ended(self, identity):
        return self.in_status(identity, *ENDED)

    def output(self, job):
        stream = job["container"]["logStreamName"]
        options = job["container"].get("logConfiguration", {}).get("options", {})
        group = options.get("awslogs-group", "/aws/batch/job")
        answer = self.logs.get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]

    def define(self, image="rios:latest", **more):
        name = f"definition-{uuid.uuid4().hex}"
        container = {"image": image, "vcpus": 1, "memory": 100}
        self.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **more
        )
        return name

    def queue(self, **attributes):
        return self.sqs.create_queue(QueueName=uuid.uuid4().hex, Attributes=attributes)["QueueUrl"]

    def send(self, url, body="hello", **more):
        return self.sqs.send_message(QueueUrl=url, MessageBody=body, **more)

    def receive(self, url, count=1, wait=0, **more):
        answer = self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=count,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            **more,
        )
        return answer.get("Messages", [])


@pytest.fixture(scope="module")
def account():
    with LocalAWS(workers=4, stop_grace=1.0) as aws:
        yield Account(aws)


@pytest.fixture
def idle_account():
    with LocalAWS(workers=0) as aws:
        yield Account(aws)


def alive(pid):
    """Tell whether a process runs; a zombie does not."""
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(answer.stdout.strip()) and not answer.stdout.startswith("Z")


def code_of(error):
    return error.value.response["Error"]["Code"]


# The stack and the environment


def test_stack_has_the_outputs_that_a_run_reads(account):
    """The stack's outputs name the bucket, the queues, the job queue, the definitions and the capacity."""
    (stack,) = account.cloudformation.describe_stacks(StackName="RIOS")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs["BatchProcessingJobQueueName"] == "riosJobQueue"
    assert outputs["BatchProcessingJobDefinitionName"] == "riosJobDefinition"
    assert outputs["BatchProcessingJobDefinitionMainName"] == "riosJobDefinitionMain"
    assert outputs["BatchMaxJobs"] == "4"
    account.s3.head_bucket(Bucket=outputs["BatchBucket"])
    for name in ("BatchInQueue", "BatchOutQueue"):
        account.send(outputs[name])
        assert [message["Body"] for message in account.receive(outputs[name])] == ["hello"]


def test_definitions_and_queues_have_their_given_names(account):
    """What the template names is found under that name, and is the queue that its URL says."""
    definitions = account.batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    assert {"riosJobDefinition", "riosJobDefinitionMain"} <= {
        d["jobDefinitionName"] for d in definitions
    }
    (queue,) = account.batch.describe_job_queues(jobQueues=["riosJobQueue"])["jobQueues"]
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
    (stack,) = account.cloudformation.describe_stacks(StackName="RIOS")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert account.sqs.get_queue_url(QueueName="riosInQueue")["QueueUrl"] == outputs["BatchInQueue"]


def test_entering_leaves_the_environment_alone():
    """Entering and leaving change nothing in os.environ."""
    before = dict(os.environ)
    with LocalAWS() as aws:
        assert dict(os.environ) == before
        assert aws.environment["AWS_ENDPOINT_URL"] == aws.endpoint
    assert dict(os.environ) == before


def test_activated_leads_here_and_restores_exactly(account, monkeypatch):
    """activated() overrides profiles, endpoints and queues of another AWS, then restores them, also after an error."""
    monkeypatch.setenv("AWS_PROFILE", "of-another-account")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://192.0.2.1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("RIOS_AWSBATCH_IN_QUEUE", "https://elsewhere/queue")
    before = dict(os.environ)
    with contextlib.suppress(KeyError), account.aws.activated():
        assert os.environ["AWS_MAX_ATTEMPTS"] == "2"
        assert "RIOS_AWSBATCH_IN_QUEUE" not in os.environ
        url = boto3.Session().client("sqs").create_queue(QueueName="activated")["QueueUrl"]
        assert url.startswith(account.aws.endpoint)
        os.environ["ADDED_MEANWHILE"] = "1"
        raise KeyError
    assert dict(os.environ) == before


def test_server_is_on_loopback_only(account):
    """The server's port is reachable at 127.0.0.1 and at no other address of this machine."""
    port = int(account.aws.endpoint.rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), 5).close()
    for address in ("127.0.0.2", *socket.gethostbyname_ex(socket.gethostname())[2]):
        if address != "127.0.0.1":
            with pytest.raises(OSError):  # noqa: PT011 - refused or unreachable, as the system words it
                socket.create_connection((address, port), 5)


def test_two_side_by_side_do_not_meet(account):
    """A second embedded AWS has its own endpoint, queues and jobs."""
    with LocalAWS(stack="Other", region="us-east-1") as aws:
        other = Account(aws)
        assert aws.endpoint != account.aws.endpoint
        other.sqs.create_queue(QueueName="only-here")
        with pytest.raises(ClientError):
            account.sqs.get_queue_url(QueueName="only-here")
        job = other.ended(other.shell("echo $RIOS_AWSBATCH_STACK $AWS_REGION $AWS_ENDPOINT_URL"))
        assert other.output(job) == [f"Other us-east-1 {aws.endpoint}"]
        assert account.batch.describe_jobs(jobs=[job["jobId"]])["jobs"] == []


def test_import_does_not_import_moto():
    """Importing the package leaves moto, and what moto needs, out of the main process."""
    code = "import sys, rios_plugin_awsbatch.local; print([m for m in ('moto', 'flask') if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


def test_missing_moto_is_one_clear_sentence(tmp_path, monkeypatch):
    """Without moto, entering says what to install."""
    (tmp_path / "moto.py").write_text("raise ImportError('No module named moto')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        pytest.raises(AWSBatchException, match=r"pip install 'rios-plugin-awsbatch\[local\]'"),
        LocalAWS(),
    ):
        pass


def test_middleware_wraps_the_application(tmp_path, monkeypatch):
    """A middleware named by its dotted path sees every request; what it answers reaches the client."""
    (tmp_path / "meddling.py").write_text(
        textwrap.dedent("""
        def factory(app):
            def meddle(environ, start_response):
                if environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ListQueues":
                    start_response("418 I'm a teapot", [("Content-Type", "application/json")])
                    return [b'{"__type": "Teapot"}']
                return app(environ, start_response)
            return meddle
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    with LocalAWS(middleware="meddling:factory") as aws:
        account = Account(aws)
        account.queue()
        with pytest.raises(ClientError) as refused:
            account.sqs.list_queues()
        assert code_of(refused) == "Teapot"


def test_middleware_that_cannot_be_imported_is_named():
    """An unknown middleware ends the start with its name."""
    with (
        pytest.raises(AWSBatchException, match="no_such_module"),
        LocalAWS(middleware="no_such_module:factory"),
    ):
        pass


def test_failure_of_the_server_is_shown(capfd):
    """A request on which the server fails is answered with a 500, and its traceback is on standard error."""
    with LocalAWS() as aws:
        server = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"))
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/ap-southeast-2/batch/aws4_request"
        }
        server.request("POST", "/v1/describejobs", "{not JSON", headers)
        assert server.getresponse().status == 500
    assert "JSONDecodeError" in capfd.readouterr().err


def test_quiet(capfd):
    """Without failures, nothing is written to the terminal."""
    with LocalAWS() as aws:
        account = Account(aws)
        account.send(account.queue())
        account.ended(account.shell("echo hello"))
    assert tuple(capfd.readouterr()) == ("", "")


def test_modules_of_the_user_s_folder_are_not_imported(tmp_path, monkeypatch):
    """The server starts in a folder whose files have the names of modules that it needs."""
    (tmp_path / "moto.py").write_text("raise ValueError('not this one')\n")
    (tmp_path / "signal.py").write_text("raise ValueError('not this one')\n")
    monkeypatch.chdir(tmp_path)
    with LocalAWS() as aws:
        assert aws.endpoint.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("wrong", "said"), [({"workers": -1}, "workers"), ({"region": "nowhere"}, "nowhere")]
)
def test_wrong_arguments(wrong, said):
    """An argument that cannot be used ends the start with one sentence that names it."""
    with pytest.raises(AWSBatchException, match=said), LocalAWS(**wrong):
        pass


# The end


STUBBORN = "trap '' TERM; sleep 1000 & echo $$ $!; while :; do sleep 1; done"


def stubborn_pids(account):
    identity = account.shell(STUBBORN)
    account.in_status(identity, "RUNNING")

    def first_line():
        with contextlib.suppress(ClientError, IndexError):
            return account.output(account.job(identity))[0]

    return [int(pid) for pid in eventually(first_line).split()]


def test_leaving_ends_every_process():
    """When the context is left, the server, its jobs and what they started are gone, even those that ignore SIGTERM."""
    with LocalAWS(stop_grace=0.2) as aws:
        port = int(aws.endpoint.rpartition(":")[2])
        pids = stubborn_pids(Account(aws))
        assert all(map(alive, pids))
    assert not any(map(alive, pids))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


OWNER = """
import json, sys
from rios_plugin_awsbatch.local import LocalAWS
with LocalAWS(stop_grace=0.2) as aws:
    print(json.dumps([aws._process.pid, aws.environment]), flush=True)
    sys.stdin.read()
"""


def test_server_and_jobs_end_when_the_owner_is_killed(tmp_path):
    """After SIGKILL of the owner, server and jobs end by themselves and leave no file."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as owner:
        server, environment = json.loads(owner.stdout.readline())
        aws = LocalAWS()
        aws.environment = environment
        pids = [server, *stubborn_pids(Account(aws))]
        assert all(map(alive, pids))
        assert list(tmp_path.iterdir()) != []
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not any(map(alive, pids)))
    assert list(tmp_path.iterdir()) == []


# Batch


def test_job_succeeds(account):
    """A job whose process exits with 0 is SUCCEEDED, with exit code, reason and times."""
    job = account.ended(account.shell("exit 0"))
    assert (job["status"], job["statusReason"]) == (
        "SUCCEEDED",
        "Essential container in task exited",
    )
    (attempt,) = job["attempts"]
    assert attempt["container"]["exitCode"] == job["container"]["exitCode"] == 0
    assert job["createdAt"] <= job["startedAt"] <= attempt["stoppedAt"] <= job["stoppedAt"]


def test_job_fails(account):
    """A job whose process exits with another code is FAILED, with that code."""
    job = account.ended(account.shell("exit 3"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 3)
    assert job["statusReason"] == "Essential container in task exited"
    assert "reason" not in job["container"]


def test_killed_job_has_the_code_of_its_signal(account):
    """A process that a signal kills has the exit code 128 + signal, and no reason that nobody can know."""
    job = account.ended(account.shell("kill -KILL $$"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 137)
    assert "reason" not in job["container"]


def test_output_goes_to_the_log(account):
    """Standard output and standard error of a job are in its log stream once it has ended."""
    job = account.ended(account.shell("echo to out; echo to err >&2; printf unfinished"))
    assert job["container"]["logStreamName"].startswith("riosJobDefinition/default/")
    assert account.output(job) == ["to out", "to err", "unfinished"]


def test_environment_is_the_container_s(account):
    """A job has the definition's variables, the overrides over them, what Batch adds, and nothing of main's."""
    overridden = {"RIOSInQueue": "overridden", "OWN": "a b"}
    identity = account.shell("env -0 | tr '\\0' '\\n'; pwd", environment=overridden)
    job = account.ended(identity)
    *lines, folder = account.output(job)
    seen = dict(line.split("=", 1) for line in lines)
    assert overridden.items() <= seen.items()
    assert seen["RIOSBucket"].startswith("riosbucket")
    assert seen["AWS_ENDPOINT_URL"] == account.aws.endpoint
    assert (seen["AWS_BATCH_JOB_ID"], seen["AWS_BATCH_JOB_ATTEMPT"]) == (identity, "1")
    environment = account.outputs["ComputeEnvironmentArn"].rpartition("/")[2]
    assert (seen["AWS_BATCH_JQ_NAME"], seen["AWS_BATCH_CE_NAME"]) == ("riosJobQueue", environment)
    assert "AWS_BATCH_JOB_ARRAY_INDEX" not in seen
    assert not Path(folder).exists(), "a job's own folder goes with it"


def test_environment_of_main_does_not_leak(monkeypatch):
    """A variable of the main process is not in the job, but what an image would bring is."""
    monkeypatch.setenv("SECRET_OF_MAIN", "1")
    monkeypatch.setenv("AWS_PROFILE", "of-another-account")
    monkeypatch.setenv("GDAL_CACHEMAX", "64")
    with LocalAWS() as aws:
        account = Account(aws)
        job = account.ended(
            account.shell("echo ${SECRET_OF_MAIN-unset} ${AWS_PROFILE-unset} $GDAL_CACHEMAX")
        )
        assert account.output(job) == ["unset unset 64"]


def test_job_without_command_runs_the_worker(account):
    """A definition without a command starts the image's entry point: the installed rios-awsbatch-worker."""
    job = account.ended(account.submit(environment={"RIOS_AWSBATCH_RUN": "not a run's id!"}))
    assert job["status"] == "FAILED"
    assert account.output(job) != [] or job["container"]["reason"].startswith(
        "CannotStartContainerError"
    )


def test_command_that_cannot_be_started(account):
    """A command that does not exist fails the job with Batch's reason."""
    job = account.ended(account.submit("/no/such/program"))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotStartContainerError")
    assert "exitCode" not in job["container"]


def test_missing_image(account):
    """An image named missing/... cannot be pulled, and the job says so."""
    job = account.ended(
        account.submit("true", definition=account.define(image="missing/rios:latest"))
    )
    assert job["status"] == "FAILED"
    assert job["statusReason"].startswith("CannotPullContainerError: ")


def test_what_a_job_leaves_running_is_killed(account):
    """When a job's main process has ended, the processes it left behind are gone."""
    job = account.ended(account.shell("sleep 1000 & echo $!"))
    assert job["status"] == "SUCCEEDED"
    (line,) = account.output(job)
    eventually(lambda: not alive(int(line)))


def test_array(account):
    """Each child has its index and its own state; the parent tells their sum and fails if one of them does."""
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


def test_capacity():
    """At most `workers` jobs run at once; the others are RUNNABLE until one ends, the array's parent PENDING."""
    with LocalAWS(workers=2, stop_grace=1) as aws:
        account = Account(aws)
        identity = account.shell("sleep 1000", arrayProperties={"size": 5})
        summary = ("RUNNING", "RUNNABLE")

        def counts():
            parent = account.job(identity)
            assert parent["status"] == "PENDING"
            return [parent["arrayProperties"]["statusSummary"][state] for state in summary]

        eventually(lambda: counts() == [2, 3])
        account.batch.terminate_job(jobId=f"{identity}:0", reason="make room")
        account.in_status(f"{identity}:2", "RUNNING")
        assert counts() == [2, 2]


def test_no_capacity(idle_account):
    """With no workers, jobs stay RUNNABLE, and one that is terminated there is FAILED at once."""
    identity = idle_account.shell("true")
    assert idle_account.job(identity)["status"] == "RUNNABLE"
    idle_account.batch.terminate_job(jobId=identity, reason="not needed")
    job = idle_account.job(identity)
    assert (job["status"], job["statusReason"], job["attempts"]) == ("FAILED", "not needed", [])


def test_terminate_sends_sigterm(account):
    """terminate_job ends a running job by SIGTERM; it is FAILED with the given reason and not tried again."""
    script = "trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    identity = account.shell(script, retryStrategy={"attempts": 3})
    account.in_status(identity, "RUNNING")
    eventually(lambda: _logged(account, identity) == ["ready"])
    account.batch.terminate_job(jobId=identity, reason="enough")
    job = account.ended(identity)
    assert (job["status"], job["statusReason"], len(job["attempts"])) == ("FAILED", "enough", 1)
    assert job["container"]["exitCode"] == 0
    assert account.output(job) == ["ready", "got TERM"]


def _logged(account, identity):
    with contextlib.suppress(ClientError):
        return account.output(account.job(identity))


def test_terminate_kills_who_ignores_sigterm(account):
    """A job that ignores SIGTERM is killed after the grace time, with what it started."""
    identity = account.shell(STUBBORN)
    account.in_status(identity, "RUNNING")
    (line,) = eventually(lambda: _logged(account, identity))
    account.batch.terminate_job(jobId=identity, reason="enough")
    job = account.ended(identity)
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 137)
    eventually(lambda: not any(alive(int(pid)) for pid in line.split()))


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
    identity = account.shell("sleep 1000", arrayProperties={"size": 6})
    eventually(lambda: account.job(identity)["arrayProperties"]["statusSummary"]["RUNNING"] == 4)
    account.batch.cancel_job(jobId=identity, reason="changed my mind")
    summary = account.job(identity)["arrayProperties"]["statusSummary"]
    assert (summary["RUNNING"], summary["FAILED"]) == (4, 2)
    account.batch.terminate_job(jobId=identity, reason="enough")
    account.ended(identity)


def test_timeout(account):
    """A job that takes longer than its timeout is ended, with Batch's reason, and not tried again."""
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
    """A job with attempts left is tried again, each attempt knowing its number and having its own log."""
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


RETRY_ON_4 = {"onExitCode": "4", "action": "RETRY"}
EXIT_ON_4X = {"onExitCode": "4*", "action": "EXIT"}


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
    """The first rule of which every pattern matches decides; when none matches, the job is tried again."""
    identity = account.shell(f"exit {code}", retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    assert len(account.ended(identity)["attempts"]) == attempts


@pytest.mark.parametrize(
    ("request_part", "said"),
    [
        ({"jobDefinition": "no-such-definition"}, "no-such-definition"),
        ({"jobQueue": "no-such-queue"}, "no-such-queue"),
        ({"arrayProperties": {"size": 1}}, "Array size"),
        ({"retryStrategy": {"attempts": 11}}, "attempts"),
        (
            {
                "retryStrategy": {
                    "attempts": 2,
                    "evaluateOnExit": [{"onReason": "a*b", "action": "EXIT"}],
                }
            },
            "pattern",
        ),
        ({"containerOverrides": {"environment": [{"name": "A", "value": "x" * 9000}]}}, "8192"),
    ],
)
def test_what_batch_refuses(account, request_part, said):
    """What AWS Batch refuses is refused here, with a sentence that names it."""
    request = {"jobName": "test", "jobQueue": "riosJobQueue", "jobDefinition": "riosJobDefinition"}
    with pytest.raises(ClientError, match=said):
        account.batch.submit_job(**request | request_part)


def test_list_jobs(idle_account):
    """list_jobs gives a queue's jobs of one status, RUNNING unless asked otherwise, and an array's children."""
    batch = idle_account.batch
    single, array = (
        idle_account.shell("true"),
        idle_account.shell("true", arrayProperties={"size": 3}),
    )

    def listed(**wanted):
        pages = batch.get_paginator("list_jobs").paginate(
            **wanted, PaginationConfig={"PageSize": 2}
        )
        return [job["jobId"] for page in pages for job in page["jobSummaryList"]]

    assert listed(jobQueue="riosJobQueue") == []
    assert listed(jobQueue="riosJobQueue", jobStatus="RUNNABLE") == [single]
    assert listed(jobQueue="riosJobQueue", jobStatus="PENDING") == [array]
    assert listed(arrayJobId=array, jobStatus="RUNNABLE") == [
        f"{array}:{index}" for index in range(3)
    ]
    assert listed(jobQueue="riosJobQueue", filters=[{"name": "JOB_NAME", "values": ["te*"]}]) == [
        array,
        single,
    ]
    assert (
        listed(jobQueue="riosJobQueue", filters=[{"name": "JOB_NAME", "values": ["other"]}]) == []
    )


# SQS


def threads(count, work):
    """Run work(index) in threads and raise what it raised."""
    errors = []

    def run(index):
        try:
            work(index)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    started = [threading.Thread(target=run, args=[index]) for index in range(count)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]


def test_each_message_goes_to_one_receiver(account):
    """Many receivers, senders and deleters at once: every message is received once and none is lost."""
    url = account.queue(VisibilityTimeout="600")
    count, received = 300, []

    def work(index):
        if index < 4:
            for number in range(index, count, 4):
                account.send(url, str(number))
        while len(received) < count:
            for message in account.receive(url, count=3, wait=1):
                received.append(int(message["Body"]))
                account.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    threads(12, work)
    assert sorted(received) == list(range(count))
    attributes = account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    assert attributes["ApproximateNumberOfMessages"] == "0"
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_batches(account):
    """Ten messages are sent, received, hidden and deleted with one request each."""
    url = account.queue()
    bodies = [str(number) for number in range(10)]
    entries = [{"Id": body, "MessageBody": body} for body in bodies]
    assert len(account.sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10
    messages = account.receive(url, count=10)
    assert sorted(message["Body"] for message in messages) == bodies
    handles = [{"Id": m["Body"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
    hidden = [entry | {"VisibilityTimeout": 60} for entry in handles]
    answer = account.sqs.change_message_visibility_batch(QueueUrl=url, Entries=hidden)
    assert len(answer["Successful"]) == 10
    assert len(account.sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 10
    answer = account.sqs.change_message_visibility_batch(QueueUrl=url, Entries=hidden)
    assert len(answer["Failed"]) == 10


def test_receive_honours_its_maximum(account):
    """No more messages come than asked for."""
    url = account.queue()
    for _ in range(5):
        account.send(url)
    assert [len(account.receive(url, count=count)) for count in (1, 3, 10, 10)] == [1, 3, 1, 0]


def test_large_message(account):
    """A message of 1 MiB arrives as it was sent; a larger one is refused."""
    url = account.queue()
    body = "x" * (1 << 20)
    account.send(url, body)
    (message,) = account.receive(url)
    assert message["Body"] == body
    with pytest.raises(ClientError):
        account.send(url, body + "x")


def in_background(work):
    """Start work() in a thread; return a function that waits for its outcome."""
    outcome = []

    def run():
        try:
            outcome.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()

    def finished():
        thread.join(PATIENCE)
        assert outcome, "still at work"
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return finished


def test_waiting_receiver_gets_a_new_message(account):
    """A long poll that found nothing ends with the message that is sent meanwhile."""
    url = account.queue()
    received = in_background(lambda: account.receive(url, wait=20))
    account.send(url)
    assert len(received()) == 1


def test_message_comes_back_when_its_time_is_up(account):
    """A message that is not deleted goes to a waiting receiver when its visibility time-out has passed."""
    url = account.queue(VisibilityTimeout="1")
    account.send(url)
    (first,) = account.receive(url)
    assert account.receive(url) == []
    (second,) = account.receive(url, wait=20)
    assert first["MessageId"] == second["MessageId"]
    assert [m["Attributes"]["ApproximateReceiveCount"] for m in (first, second)] == ["1", "2"]


def test_message_that_is_handed_back_is_visible_at_once(account):
    """A visibility of 0 gives the message to a waiting receiver."""
    url = account.queue(VisibilityTimeout="600")
    account.send(url)
    (message,) = account.receive(url)
    received = in_background(lambda: account.receive(url, wait=20))
    account.sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    assert [again["MessageId"] for again in received()] == [message["MessageId"]]


def test_heartbeat_keeps_a_message_hidden(account):
    """A message whose time-out is extended stays hidden beyond its first one."""
    url = account.queue(VisibilityTimeout="1")
    account.send(url)
    (message,) = account.receive(url)
    account.sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=600
    )
    assert account.receive(url, wait=2) == []


def test_stale_handle_deletes_nothing(account):
    """Deleting with the handle of an earlier receive succeeds and leaves the message, which SQS allows."""
    url = account.queue(VisibilityTimeout="0")
    account.send(url)
    (first,), (second,) = account.receive(url), account.receive(url)
    account.sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    (third,) = account.receive(url)
    assert third["MessageId"] == first["MessageId"] == second["MessageId"]
    account.sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    assert account.receive(url) == []
    account.sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])


def test_visibility_of_what_is_not_in_flight_cannot_be_changed(account):
    """A heartbeat for a message that has become visible again is refused, as by SQS."""
    url = account.queue(VisibilityTimeout="0")
    account.send(url)
    (message,) = account.receive(url)
    with pytest.raises(ClientError) as refused:
        account.sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=60
        )
    assert code_of(refused) == "InvalidParameterValue"


def test_delayed_message(account):
    """A delayed message is not there at first and comes to a waiting receiver in time."""
    url = account.queue()
    account.send(url, DelaySeconds=1)
    assert account.receive(url) == []
    assert len(account.receive(url, wait=20)) == 1


def test_dead_letter_queue(account):
    """A message that was received too often goes to the dead letter queue."""
    dead = account.queue()
    arn = account.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = account.queue(VisibilityTimeout="0", RedrivePolicy=policy)
    account.send(url)
    assert [len(account.receive(url)) for _ in range(3)] == [1, 1, 0]
    assert len(account.receive(dead)) == 1


def test_deleting_a_queue_ends_its_long_polls(account):
    """A receiver that waits at a queue that is deleted gets the error of a queue that does not exist."""
    url = account.queue()
    received = in_background(lambda: account.receive(url, wait=20))
    account.sqs.delete_queue(QueueUrl=url)
    with pytest.raises(account.sqs.exceptions.QueueDoesNotExist):
        received()
    with pytest.raises(account.sqs.exceptions.QueueDoesNotExist):
        account.send(url)


def test_receiver_that_is_gone_gets_nothing(account):
    """A message that comes when a waiting client has closed its connection is there for the next one."""
    url = account.queue(VisibilityTimeout="600")
    scope = "testing/20260101/ap-southeast-2/sqs/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "AmazonSQS.ReceiveMessage",
    }
    receiver = http.client.HTTPConnection(account.aws.endpoint.removeprefix("http://"))
    receiver.request("POST", "/", json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}), headers)
    receiver.close()
    account.send(url)
    assert len(account.receive(url, wait=20)) == 1


# S3


def test_objects_under_threads(account):
    """Objects that many threads put, get, list and delete at once are those that they wrote."""
    bucket = f"bucket-{uuid.uuid4().hex}"
    account.s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-southeast-2"}
    )

    def work(index):
        for number in range(10):
            key, body = f"{index}/{number}", bytes([index, number]) * 50_000
            account.s3.put_object(Bucket=bucket, Key=key, Body=body)
            assert account.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
        listed = account.s3.list_objects_v2(Bucket=bucket, Prefix=f"{index}/")["Contents"]
        assert len(listed) == 10
        objects = [{"Key": entry["Key"]} for entry in listed]
        account.s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})

    threads(8, work)
    assert account.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    with pytest.raises(account.s3.exceptions.NoSuchKey):
        account.s3.get_object(Bucket=bucket, Key="0/0")


def test_ranges_and_heads(account):
    """HEAD and range requests keep the connection in step for the next request."""
    bucket = f"bucket-{uuid.uuid4().hex}"
    account.s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-southeast-2"}
    )
    account.s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    for _ in range(3):
        assert account.s3.head_object(Bucket=bucket, Key="key")["ContentLength"] == 10
        assert (
            account.s3.get_object(Bucket=bucket, Key="key", Range="bytes=2-4")["Body"].read()
            == b"234"
        )


def test_the_command_shows_what_workers_log(tmp_path):
    """With --logs, what the function prints is on standard error, with the worker it comes from; else it is not."""
    script = tmp_path / "script.py"
    script.write_text(
        "from rios_plugin_awsbatch import BatchExecutor\n"
        "def say(number):\n"
        "    print('said', number)\n"
        "with BatchExecutor(1) as executor:\n"
        "    list(executor.map(say, range(2)))\n"
    )
    command = [Path(sys.executable).parent / "rios-awsbatch", "local", "--workers", "1"]
    for options in (["--logs"], []):
        ended = subprocess.run(
            [*command, *options, "--", "python", script],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        said = re.findall(r"^\[\w{8}\] (said \d)$", ended.stderr, re.MULTILINE)
        assert said == (["said 0", "said 1"] if options else [])
