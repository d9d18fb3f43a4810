"""`LocalAWS` owns a process: entering, leaving, isolation, and what cannot be started."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local import LocalAWS
from tests.local.support import Account
from tests.support.helpers import alive, eventually

OWNER = """
import json, sys
from rios_plugin_awsbatch.local import LocalAWS
with LocalAWS(stop_grace=0.2) as aws:
    print(json.dumps([aws._process.pid, aws.environment]), flush=True)
    sys.stdin.read()
"""


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
    code = "import sys, rios_plugin_awsbatch.local; print({'moto', 'flask'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_missing_moto_is_one_clear_sentence(tmp_path, monkeypatch):
    """Without moto, entering says what to install."""
    (tmp_path / "moto.py").write_text("raise ImportError('No module named moto')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        pytest.raises(AWSBatchException, match=r"pip install 'rios-plugin-awsbatch\[local\]'"),
        LocalAWS(),
    ):
        pass


def test_failure_of_the_server_is_shown(capfd):
    """If moto fails, the client gets a 500, and the traceback is on standard error."""
    with LocalAWS() as aws:
        server = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"))
        key = aws.environment["AWS_ACCESS_KEY_ID"]
        scope = f"{key}/20260101/ap-southeast-2/batch/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}"}
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


def test_leaving_ends_every_process():
    """Leaving ends the server, jobs and what they started, even those that ignore SIGTERM."""
    with LocalAWS(stop_grace=0.2) as aws:
        port = int(aws.endpoint.rpartition(":")[2])
        _, pids = Account(aws).stubborn_job()
        assert all(map(alive, pids))
    assert not any(map(alive, pids))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


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
        aws.environment_of = lambda _: environment
        pids = [server, *Account(aws).stubborn_job()[1]]
        assert all(map(alive, pids))
        assert list(tmp_path.iterdir()) != []
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not any(map(alive, pids)))
    assert list(tmp_path.iterdir()) == []
