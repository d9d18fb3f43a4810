"""What machines run when they start: the very scripts from the template."""

import email
import http.server
import os
import shutil
import signal
import subprocess
import threading

import pytest

from tests.stack.support.template import TEMPLATE
from tests.support.helpers import eventually

TEXT = TEMPLATE["Mappings"]["Machines"]["UserData"]["Text"]
MESSAGE = email.message_from_string(TEXT)
PARTS = {part.get_content_type(): part.get_payload() for part in MESSAGE.walk()}
BLOCK = PARTS["text/cloud-boothook"]
SETUP = PARTS["text/x-shellscript"]
WATCHER = SETUP.partition("<<'END'\n")[2].partition("\nEND\n")[0]
NOTICE = "/latest/meta-data/spot/instance-action"
# A docker that knows the containers in a file, and notes what it is told.
DOCKER = """#!/bin/bash
case $1 in
  ps) echo "$*" >> "$HERE/asked"; cat "$HERE/containers" 2>/dev/null ;;
  kill) echo "$*" >> "$HERE/killed"; ! grep -qx "${@: -1}" "$HERE/gone" 2>/dev/null ;;
esac
"""


def test_the_user_data_is_what_batch_can_merge():
    """It is a MIME archive of parts that cloud-init knows, in plain characters, below 16 KiB."""
    assert set(PARTS) == {"multipart/mixed", "text/cloud-boothook", "text/x-shellscript"}
    assert TEXT.isascii()
    assert len(TEXT) < 16 * 1024
    assert TEXT.startswith("MIME-Version: 1.0\n")


@pytest.mark.parametrize("script", [BLOCK, SETUP, WATCHER], ids=["block", "setup", "watcher"])
def test_the_scripts_are_bash(script):
    """Each has its first line, and bash takes all of it."""
    assert script.startswith("#!/bin/bash\n")
    done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
    assert done.returncode == 0


def test_ecs_starts_nothing_more_on_a_machine_that_is_to_go():
    """The agent drains the machine at a notice, so that no new worker starts there."""
    assert "echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config\n" in SETUP


# The watcher


class Metadata(http.server.BaseHTTPRequestHandler):
    """IMDSv2: tokens by PUT, everything else only with a token."""

    def do_PUT(self):
        with_ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        right = self.path == "/latest/api/token" and with_ttl
        self._answer(200 if right else 400, b"a-token")

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.headers.get("X-aws-ec2-metadata-token") != "a-token":
            self._answer(401, b"")
        elif self.path == NOTICE and self.server.notice:
            self._answer(200, b'{"action": "terminate", "time": "2026-01-01T00:00:00Z"}')
        else:
            self._answer(404, b"")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        pass


@pytest.fixture
def metadata():
    """A metadata service on this machine; its `notice` says whether the machine is to go."""
    with http.server.HTTPServer(("127.0.0.1", 0), Metadata) as server:
        server.notice, server.asked = False, []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def machine(metadata, tmp_path):
    """The folder of a machine on which the watcher runs."""
    (tmp_path / "bin").mkdir()
    docker, watcher = tmp_path / "bin" / "docker", tmp_path / "watcher"
    docker.write_text(DOCKER)
    watcher.write_text(WATCHER)
    docker.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "IMDS": f"http://127.0.0.1:{metadata.server_port}",
        "EVERY": "0.02",
        "HERE": str(tmp_path),
    }
    process = subprocess.Popen(
        ["bash", watcher], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    yield tmp_path
    assert process.poll() is None, "the watcher goes on, whatever happens"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_without_a_notice_nobody_is_told(machine, metadata):
    """The watcher asks again and again, with a token, and leaves the containers alone."""
    (machine / "containers").write_text("one\n")
    eventually(lambda: len(metadata.asked) >= 3)
    assert set(metadata.asked) == {NOTICE}
    assert not lines(machine / "asked")


def test_each_job_is_told_once(machine, metadata):
    """All jobs on the machine get SIGTERM, also one that starts late; ECS's agent gets none."""
    (machine / "containers").write_text("one\ntwo\n")
    metadata.notice = True
    eventually(lambda: len(lines(machine / "asked")) >= 3)
    (machine / "containers").write_text("one\ntwo\nthree\n")
    eventually(lambda: len(lines(machine / "killed")) >= 3)
    seen = len(lines(machine / "asked"))
    eventually(lambda: len(lines(machine / "asked")) >= seen + 3)
    told = [f"kill --signal TERM {name}" for name in ("one", "two", "three")]
    assert lines(machine / "killed") == told
    asked = "ps -q --no-trunc -f label=com.amazonaws.ecs.task-arn"
    assert set(lines(machine / "asked")) == {asked}


def test_a_job_that_could_not_be_told_is_told_again(machine, metadata):
    """Docker may be busy; what it refuses is tried again with the next look."""
    (machine / "containers").write_text("one\n")
    (machine / "gone").write_text("one\n")
    metadata.notice = True
    eventually(lambda: len(lines(machine / "killed")) >= 2)


# The block


def in_a_network_of_its_own(script):
    """Run a script with a network in which it may set rules."""
    return subprocess.run(
        ["unshare", "--net", "bash", "-ec", script], capture_output=True, text=True, check=False
    )


TRIES = """
ip link set lo up
ip address add 169.254.169.254/32 dev lo
ip address add 169.254.170.2/32 dev lo
ip -6 address add fd00:ec2::254/128 dev lo nodad
{block}
python3 -m http.server --bind :: 80 >/dev/null 2>&1 & server=$!
until curl -s -o /dev/null http://127.0.0.1/; do sleep 0.05; done
ask() {{ "$@" curl -g -s -o /dev/null -m 2 "http://$where/" && echo "$who $where"; true; }}
for where in 169.254.169.254 '[fd00:ec2::254]' 169.254.170.2; do
  who=root; ask
  who=image; ask setpriv --reuid 10001 --regid 10001 --clear-groups
done
kill $server
"""


@pytest.fixture
def _rules():
    """Skip where a process cannot have a network with rules of its own."""
    needed = ("iptables", "ip6tables", "unshare", "setpriv", "ip", "curl")
    if not all(map(shutil.which, needed)) or os.geteuid():
        pytest.skip("needs root and iptables")
    if in_a_network_of_its_own("iptables -L OUTPUT && ip6tables -L OUTPUT").returncode:
        pytest.skip("this machine allows no network of its own")


@pytest.mark.usefixtures("_rules")
def test_jobs_cannot_ask_for_the_machine_s_role():
    """The image's user gets no answer from the metadata, but from its own role's endpoint."""
    rules = BLOCK.partition("\n")[2]
    done = in_a_network_of_its_own(TRIES.format(block=rules))
    assert done.stdout.split("\n")[:-1] == [
        "root 169.254.169.254",
        "root [fd00:ec2::254]",
        "root 169.254.170.2",
        "image 169.254.170.2",
    ], done.stderr


def test_the_rules_are_those_for_every_user_but_root():
    """ECS's agent and Docker are root's; images run as another user."""
    rules = [line.split() for line in BLOCK.splitlines() if "OUTPUT" in line]
    assert [rule[0] for rule in rules] == ["iptables", "ip6tables"]
    assert [rule[rule.index("-d") + 1] for rule in rules] == ["169.254.169.254", "fd00:ec2::254"]
    assert "users=1-4294967294\n" in BLOCK
