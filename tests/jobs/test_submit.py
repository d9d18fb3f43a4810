"""A user's script as the main job: `rios-awsbatch submit`, `logs`, `jobs`, `cancel`, with real jobs."""

import base64
import dataclasses
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.jobs.files import fetched
from rios_plugin_awsbatch.jobs.pack import Script, pack
from rios_plugin_awsbatch.jobs.submit import sweep_submissions
from tests.support.helpers import eventually

DEFINITIONS = ["riosJobDefinition", "riosJobDefinitionMain", "riosJobDefinitionMainScript"]
SCRIPTS = Path(sys.executable).parent
JOB = r"[0-9a-f]{8}-[0-9a-f-]{27}"
CALLS_WORKERS = """
    import os, sys
    from rios_plugin_awsbatch import BatchExecutor

    def pid(_):
        return os.getpid()

    with BatchExecutor(2) as executor:
        pids = set(executor.map(pid, range(4)))
    print("computed elsewhere:", os.getpid() not in pids)
"""


@dataclasses.dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def job(self):
        """The id of the job that was submitted."""
        return re.search(rf"is job ({JOB}) ", self.err).group(1)


def run(*command, cwd=None):
    """Run a command of ours, and return how it ended."""
    words = [str(word) for word in command]
    done = subprocess.run(
        [SCRIPTS / words[0], *words[1:]], cwd=cwd, capture_output=True, text=True, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def start(*command, stdin=subprocess.DEVNULL):
    """Start a command of ours in a group of its own, as a terminal does."""
    return subprocess.Popen(
        [SCRIPTS / command[0], *command[1:]],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def submit(*words):
    return run("rios-awsbatch", "submit", *words)


def follow(*words):
    return submit("--follow", *words)


def wheel(folder):
    """Write a wheel with one module, and return its path."""
    path = folder / "lighthouse-1.0-py3-none-any.whl"
    info = "lighthouse-1.0.dist-info"
    files = {
        "lighthouse.py": "def beam(n):\n    return 'beam ' * n\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: lighthouse\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
            digest = (
                base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
                .rstrip(b"=")
                .decode()
            )
            lines.append(f"{name},sha256={digest},{len(content)}")
        packed.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))
    return path


@pytest.fixture
def script(tmp_path):
    """Return a function that writes a script."""

    def write(code, name="main.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return path

    return write


@pytest.fixture
def stack(cloud):
    """The embedded AWS; afterwards no submission may be left in it."""
    yield cloud
    sweep_submissions(Clients("ap-southeast-2"), cloud.bucket)
    assert cloud.objects("submissions/") == []
    assert definitions(cloud) == DEFINITIONS


def image_of(cloud, definition):
    """Return the image that a job definition of the stack names."""
    (found,) = cloud.batch.describe_job_definitions(jobDefinitionName=definition)["jobDefinitions"]
    return found["containerProperties"]["image"]


def definitions(cloud):
    """Return the names of the job definitions that can be used."""
    found = cloud.batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    return sorted(definition["jobDefinitionName"] for definition in found)


def job(cloud, identity):
    return cloud.batch.describe_jobs(jobs=[identity])["jobs"][0]


def succeeds(cloud, identity):
    """Wait until a job has succeeded."""
    said = lambda: f"{job(cloud, identity)}, and says: {run('rios-awsbatch', 'logs', identity)}"  # noqa: E731
    eventually(lambda: job(cloud, identity)["status"] == "SUCCEEDED", said)


def running(identity, text):
    """Wait until a job has logged a text."""
    return eventually(
        lambda: text in run("rios-awsbatch", "logs", identity).out,
        f"{identity} does not say {text}",
    )


# The way of a script


def test_a_script_runs_as_the_main_job_and_starts_workers(stack, script):
    """The script's log is shown, its workers are other jobs, and nothing of the submission is left at its end."""
    ended = follow(script(CALLS_WORKERS))
    assert (ended.code, "computed elsewhere: True\n" in ended.out) == (0, True), ended
    assert f"Job {ended.job} succeeded." in ended.err
    assert job(stack, ended.job)["status"] == "SUCCEEDED"
    assert stack.objects("submissions/") == []
    assert definitions(stack) == DEFINITIONS


def test_without_follow_the_job_goes_on_by_itself(stack, script):
    """Submitting returns at once with the job's id; the job deletes its files itself."""
    ended = submit(script("print('by itself')"))
    assert (ended.code, ended.out) == (0, "")
    succeeds(stack, ended.job)
    assert [key for key in stack.objects("submissions/") if key.endswith(".tar.gz")] == []
    assert "by itself\n" in run("rios-awsbatch", "logs", ended.job).out


@pytest.mark.usefixtures("stack")
def test_arguments_and_variables_arrive(script, monkeypatch):
    """ARGS arrive as they are; --threads and --env are in the environment, and settings made here hold there."""
    path = script("""
        import os, sys
        print(sys.argv[1:])
        for name in sorted(os.environ):
            print(f"{name}={os.environ[name]}")
    """)
    monkeypatch.setenv("HERE", "as it is here")
    monkeypatch.setenv("RIOS_AWSBATCH_VISIBILITY_TIMEOUT", "77")
    words = [
        "--threads",
        "5",
        "--env",
        "COLOUR=a=b",
        "--env",
        "HERE",
        "--",
        "--threads",
        "a b",
        "$HOME",
        "",
    ]
    ended = follow(path, *words)
    assert "['--threads', 'a b', '$HOME', '']\n" in ended.out, ended
    for line in (
        "RIOS_DFLT_JOBMGRTYPE=AWSBatch",
        "RIOS_AWSBATCH_THREADS=5",
        "COLOUR=a=b",
        "HERE=as it is here",
        "RIOS_AWSBATCH_VISIBILITY_TIMEOUT=77",
    ):
        assert f"{line}\n" in ended.out


@pytest.mark.usefixtures("stack")
def test_a_folder_travels_to_the_workers_too(script, tmp_path):
    """Modules beside the script and in the folder are there in main and in its workers, data and modes as well."""
    root = tmp_path / "project"
    path = script(
        """
        import os
        import beside, package.within
        from rios_plugin_awsbatch import BatchExecutor

        print(open("data/table.txt").read(), os.access("data/tool", os.X_OK))
        with BatchExecutor(1) as executor:
            print(executor.submit(beside.where).result(), executor.submit(package.within.where).result())
        """,
        "project/scripts/main.py",
    )
    script("def where():\n    return 'beside'\n", "project/scripts/beside.py")
    script("def where():\n    return 'within'\n", "project/package/within.py")
    script("a table", "project/data/table.txt")
    script("#!/bin/sh\n", "project/data/tool").chmod(0o755)
    script("nobody needs it", "project/.git/config")
    ended = follow(path, "--folder", root)
    assert "a table True\nbeside within\n" in ended.out, ended


@pytest.mark.usefixtures("stack")
def test_requirements_are_installed_in_main_and_in_workers(script, tmp_path):
    """What the list of requirements names can be imported by the script and by what workers compute."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"# a list\nlighthouse @ {wheel(tmp_path).as_uri()}\n")
    path = script("""
        import lighthouse
        from rios_plugin_awsbatch import BatchExecutor

        with BatchExecutor(1) as executor:
            print(lighthouse.beam(1), executor.submit(lighthouse.beam, 2).result())
    """)
    ended = follow(path, "--requirements", requirements)
    assert "beam  beam beam" in ended.out, ended


def test_what_the_job_may_use_is_said_by_options(stack, script):
    """vCPUs, memory and time-out of the main job go before those of its definition."""
    ended = submit(script(""), "--vcpus", "2", "--memory", "3000", "--timeout", "3600")
    described = job(stack, ended.job)
    requirements = {
        one["type"]: one["value"] for one in described["container"]["resourceRequirements"]
    }
    assert requirements == {"VCPU": "2", "MEMORY": "3000"}
    assert described["timeout"] == {"attemptDurationSeconds": 3600}
    assert described["jobName"] == "main"
    succeeds(stack, ended.job)


# The image


def test_by_default_it_runs_in_the_image_of_the_workers(stack, script):
    """The stack has a job definition for that: nothing is registered for the job, and it may do what main may."""
    ended = submit(script("import time; time.sleep(60)"))
    assert definitions(stack) == DEFINITIONS
    described = job(stack, ended.job)
    assert described["jobDefinition"].endswith("/riosJobDefinitionMainScript:1")
    assert described["container"]["image"] == image_of(stack, "riosJobDefinition")
    assert described["jobQueue"].endswith("/riosJobQueueMain")
    run("rios-awsbatch", "cancel", ended.job)


def test_another_image_is_named_by_a_copy_of_the_main_definition(stack, script):
    """It is registered for the job alone, and goes with it."""
    ended = submit(script("import time; time.sleep(60)"), "--image", "elsewhere/rios:1")
    assert [name for name in definitions(stack) if name.startswith("riosJobDefinitionMain-")]
    assert job(stack, ended.job)["container"]["image"] == "elsewhere/rios:1"
    run("rios-awsbatch", "cancel", ended.job)
    assert definitions(stack) == DEFINITIONS


def test_the_image_of_the_main_definition_needs_no_other_definition(stack, script):
    """The stack's main job definition is used as it is if it names the image."""
    ended = submit(script(""), "--image", image_of(stack, "riosJobDefinitionMain"))
    assert job(stack, ended.job)["jobDefinition"].endswith("/riosJobDefinitionMain:1")
    succeeds(stack, ended.job)
    assert eventually(lambda: not stack.objects("submissions/")) is True


@pytest.mark.usefixtures("stack")
def test_an_image_that_cannot_be_pulled(script):
    """The job fails, and following it says why and what to do."""
    ended = follow(script(""), "--image", "missing/image:1")
    assert ended.code == 1
    assert "CannotPullContainerError" in ended.err
    assert "push it" in ended.err


def test_an_image_with_its_own_script(stack):
    """With --no-script nothing travels, and ARGS are the image's command."""
    ended = follow(
        "--no-script", "--image", "riosmain:latest", "--", "sh", "-c", "echo own; exit 7"
    )
    assert (ended.code, ended.out) == (7, "own\n"), ended
    assert stack.objects("submissions/") == []


def test_an_image_of_the_stacks_repository(stack, script):
    """main:TAG is the image of that tag in the stack's repository for main scripts."""
    ended = submit(script("import time; time.sleep(60)"), "--image", "main:1")
    repository = image_of(stack, "riosJobDefinitionMain").removesuffix(":latest")
    assert job(stack, ended.job)["container"]["image"] == f"{repository}:1"
    run("rios-awsbatch", "cancel", ended.job)


# What goes wrong


@pytest.mark.usefixtures("stack")
def test_a_script_that_fails(script):
    """Its traceback is in its log, and its exit status is that of the command that follows it."""
    ended = follow(script("import sys\nprint('begun')\nsys.exit(3)"))
    assert (ended.code, "begun\n" in ended.out) == (3, True)
    raising = follow(script("1 / 0"))
    assert (raising.code, "ZeroDivisionError" in raising.out) == (1, True)


@pytest.mark.usefixtures("stack")
def test_requirements_that_cannot_be_installed(script, tmp_path):
    """The job fails before the script runs, with what pip says and one sentence."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"nothing @ {(tmp_path / 'nothing-1.0-py3-none-any.whl').as_uri()}\n")
    ended = follow(script("print('must not run')"), "--requirements", requirements)
    assert ended.code == 1
    assert "must not run" not in ended.out
    assert re.search(
        r"^rios-awsbatch-main: The requirements of submission .* cannot be installed",
        ended.out,
        re.MULTILINE,
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.py"], "The script nowhere.py does not exist."),
        (["folder"], "The script folder is a folder."),
        (["main.py", "--folder", "nowhere"], "There is no folder nowhere."),
        (
            ["main.py", "--folder", "folder"],
            "main.py is not in folder; the folder that travels must hold the script.",
        ),
        (
            ["main.py", "--requirements", "nowhere"],
            "The list of requirements nowhere does not exist.",
        ),
        (
            ["main.py", "--folder", "."],
            "is a link to a folder, which cannot travel; copy it, or move it away.",
        ),
    ],
)
def test_what_cannot_travel(stack, script, tmp_path, words, sentence):
    """One clear sentence, and no job."""
    script("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    before = len(
        stack.batch.list_jobs(jobQueue=stack.job_queue, jobStatus="SUCCEEDED")["jobSummaryList"]
    )
    ended = run("rios-awsbatch", "submit", *words, cwd=tmp_path)
    assert ended.code == 1
    assert ended.err.startswith("rios-awsbatch: ")
    assert ended.err.endswith(f"{sentence}\n")
    assert stack.objects("submissions/") == []
    assert (
        len(
            stack.batch.list_jobs(jobQueue=stack.job_queue, jobStatus="SUCCEEDED")["jobSummaryList"]
        )
        == before
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Which script?"),
        (["--no-script"], "--no-script needs --image"),
        (["main.py", "--env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set here"),
        (
            ["main.py", "--env", "AWS_BATCH_JOB_ID=1"],
            "does not name a variable that a job can have",
        ),
        (["main.py", "--timeout", "59"], "59 is not in the range"),
    ],
)
def test_what_cannot_be_meant(words, sentence):
    """Options that make no sense are refused before anything is sent."""
    ended = submit(*words)
    assert ended.code == 2
    assert sentence in ended.err


def test_a_job_that_batch_does_not_take_leaves_nothing(stack, script):
    """More environment than Batch allows is one clear error; files and definition are gone."""
    ended = submit(script(""), "--env", f"LONG={'x' * 9000}")
    assert ended.code == 1
    assert "Cannot submit a job to stack RIOS in ap-southeast-2" in ended.err
    assert stack.objects("submissions/") == []
    assert definitions(stack) == DEFINITIONS


# What is verified


def packed(path, **more):
    archive = io.BytesIO()
    digest, _ = pack(Script(path, **more), archive)
    return archive, digest


def test_files_that_are_not_those_submitted_are_not_run(stack, script):
    """Whoever changes the archive in the bucket changes its SHA-256: nothing of it is run, in main or in workers."""
    archive, _ = packed(script("print('forged')"))
    _, digest = packed(script("print('submitted')"))
    stack.s3.put_object(
        Bucket=stack.bucket, Key="submissions/forged/files.tar.gz", Body=archive.getvalue()
    )
    environment = {
        **os.environ,
        "RIOS_AWSBATCH_SUBMISSION": f"forged:{digest}",
        "RIOS_AWSBATCH_BUCKET": stack.bucket,
    }
    queues = {"RIOS_AWSBATCH_IN_QUEUE": "http://x", "RIOS_AWSBATCH_OUT_QUEUE": "http://x"}
    run_of = {"RIOS_AWSBATCH_RUN": "r", "RIOS_AWSBATCH_RUN_KEY": "0" * 64}
    for program, more in (
        ("rios-awsbatch-main", {}),
        ("rios-awsbatch-worker", {**queues, **run_of}),
    ):
        done = subprocess.run(
            [SCRIPTS / program],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "SHA-256 differs. Nothing of them was run" in done.stderr
    stack.s3.delete_object(Bucket=stack.bucket, Key="submissions/forged/files.tar.gz")


def test_files_that_are_gone(stack):
    """A job whose files were deleted says so in one sentence."""
    with (
        pytest.raises(SubmissionError, match="they are gone"),
        fetched(Clients("ap-southeast-2"), stack.bucket, "x:0"),
    ):
        pass


def test_the_archive_tells_nothing_of_who_made_it(script):
    """Neither the user's name nor the script's place is in it, and what nobody needs is left out."""
    path = script("pass", "project/main.py")
    for unwanted in (".git/config", "__pycache__/main.pyc", ".venv/bin/python"):
        script("", f"project/{unwanted}")
    archive, digest = packed(path, folder=path.parent)
    assert hashlib.sha256(archive.getvalue()).hexdigest() == digest
    with tarfile.open(fileobj=archive) as tar:
        members = tar.getmembers()
    assert sorted(member.name for member in members) == ["files/main.py", "manifest.json"]
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, "", "")
    }


def test_main_without_a_submission():
    """`rios-awsbatch-main` outside of such a job is one sentence; --version and --help work without AWS."""
    ended = run("rios-awsbatch-main")
    assert ended.code == 1
    assert ended.err.startswith("rios-awsbatch-main: RIOS_AWSBATCH_SUBMISSION is not set")
    assert run("rios-awsbatch-main", "--version").out.startswith("rios-awsbatch-main ")
    assert run("rios-awsbatch-main", "--help").code == 0


def test_the_workers_entry_point_becomes_the_jobs_command():
    """Batch hands a job's command to the image's entry point, which runs it in its own place."""
    ended = run(
        "rios-awsbatch-worker",
        sys.executable,
        "-c",
        "import sys; print(sys.argv[1:]); sys.exit(5)",
        "--version",
    )
    assert (ended.code, ended.out) == (5, "['--version']\n")
    missing = run("rios-awsbatch-worker", "no-such-program")
    assert (missing.code, missing.err) == (
        1,
        "rios-awsbatch-worker: no-such-program cannot be run: No such file or directory.\n",
    )


# While it runs

BUSY = """
    import time
    from rios_plugin_awsbatch import BatchExecutor

    with BatchExecutor(1) as executor:
        executor.submit(abs, 1).result()
        print("busy", flush=True)
        executor.submit(time.sleep, 600).result()
"""


def test_cancel_ends_main_and_its_run_in_order(stack, script):
    """SIGTERM reaches the script, whose run takes workers, queues and objects with it; the submission is swept."""
    ended = submit(script(BUSY))
    running(ended.job, "busy")
    assert stack.run_queues()
    cancelled = run("rios-awsbatch", "cancel", ended.job[:8])
    assert (cancelled.code, cancelled.out) == (0, f"Job {ended.job} is being ended.\n")
    eventually(lambda: job(stack, ended.job)["status"] == "FAILED")
    eventually(lambda: not stack.left(), lambda: f"left: {stack.left()}")
    assert stack.objects("submissions/") == []
    assert job(stack, ended.job)["statusReason"] == "Cancelled by rios-awsbatch cancel"
    again = run("rios-awsbatch", "cancel", ended.job)
    assert (again.code, again.out) == (0, f"Job {ended.job} has already ended.\n")


def test_ctrl_c_while_following_leaves_the_job(stack, script):
    """Nobody is there to be asked: the job goes on, and it is said how to see it again and how to end it."""
    ended = submit(script(BUSY))
    running(ended.job, "busy")
    watching = start("rios-awsbatch", "logs", "--follow", ended.job)
    line = eventually(lambda: (text := watching.stdout.readline()) and "busy" in text and text)
    assert line == "busy\n"
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert (
        f"Job {ended.job} goes on. rios-awsbatch logs --follow {ended.job} shows its log again"
        in err
    )
    assert job(stack, ended.job)["status"] == "RUNNING"
    run("rios-awsbatch", "cancel", ended.job)
    eventually(lambda: not stack.left())


@pytest.mark.parametrize(("answer", "sentence"), [(b"y\n", "is being ended."), (b"\n", "goes on.")])
def test_ctrl_c_at_a_terminal_asks_about_the_job(stack, script, answer, sentence):
    """Whoever follows it decides whether it ends as well; it goes on if nothing is said."""
    ended = submit(script(BUSY))
    running(ended.job, "busy")
    keyboard, terminal = os.openpty()
    with os.fdopen(keyboard, "wb", buffering=0) as keys, os.fdopen(terminal, "rb") as stdin:
        watching = start("rios-awsbatch", "logs", "--follow", ended.job, stdin=stdin)
        eventually(lambda: "busy" in watching.stdout.readline())
        keys.write(answer)
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert f"End job {ended.job} as well? [y/N]" in err
    assert f"Job {ended.job} {sentence}" in err
    run("rios-awsbatch", "cancel", ended.job)
    eventually(lambda: not stack.left())


@pytest.mark.usefixtures("stack")
def test_jobs_lists_main_scripts_and_workers(script):
    """Each job of the stack is a line with its id, what it is, and its status."""
    ended = follow(script(CALLS_WORKERS, "two_workers.py"))
    lines = run("rios-awsbatch", "jobs").out.splitlines()
    assert lines[0].split() == ["JOB", "WHAT", "NAME", "STATUS", "SUBMITTED", "TIME", "REASON"]
    (main,) = [line for line in lines if ended.job in line]
    assert re.search(rf"{ended.job} +main +two_workers +SUCCEEDED ", main)
    assert any(re.search(rf"^{JOB} +2 workers +rios-\S+ +SUCCEEDED ", line) for line in lines)


def test_workers_at_work_are_listed_as_running(stack, script):
    """Batch calls an array pending until all of its children have ended; what counts is what they do."""
    ended = submit(script(CALLS_WORKERS.replace("return", "import time; time.sleep(60); return")))
    eventually(
        lambda: re.search(r" 2 workers +rios-\S+ +2 RUNNING ", run("rios-awsbatch", "jobs").out)
    )
    run("rios-awsbatch", "cancel", ended.job)
    eventually(lambda: not stack.left())


def test_a_name_of_one_letter_is_a_name(stack, script):
    """Batch takes it, and so does the embedded AWS."""
    ended = submit(script("", "s.py"))
    assert job(stack, ended.job)["jobName"] == "s"
    succeeds(stack, ended.job)


@pytest.mark.usefixtures("stack")
def test_a_job_can_be_named(script):
    """By its name, if it is the only one; an unclear name, or none, is one sentence."""
    first = follow(script("print('the only one')", "lonely.py"))
    assert "the only one\n" in run("rios-awsbatch", "logs", "lonely").out
    second = follow(script("", "lonely.py"))
    unclear = run("rios-awsbatch", "logs", "lonely")
    assert unclear.code == 1
    assert first.job in unclear.err
    assert second.job in unclear.err
    nobody = run("rios-awsbatch", "cancel", "nobody", first.job)
    assert (nobody.code, nobody.out) == (1, f"Job {first.job} has already ended.\n")
    assert "There is no job nobody on the queue of stack RIOS in ap-southeast-2" in nobody.err


@pytest.mark.usefixtures("stack")
def test_workers_of_an_array_have_logs_of_their_own(script):
    """The log of an array is no log: its workers' are named, and can be shown."""
    follow(script(CALLS_WORKERS))
    lines = run("rios-awsbatch", "jobs").out.splitlines()
    array = next(line.split()[0] for line in lines if " 2 workers " in line)
    ended = run("rios-awsbatch", "logs", array)
    assert ended.code == 1
    assert f"{array}:0 to {array}:1" in ended.err
    assert "is ready" in run("rios-awsbatch", "logs", f"{array}:0").out


def test_clean_sweeps_what_a_killed_main_left(stack, script):
    """The files of a main job that was killed are deleted, and its definition is deregistered; a young one stays."""
    stack.s3.put_object(Bucket=stack.bucket, Key="submissions/young/files.tar.gz", Body=b"")
    ended = submit(script("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"))
    eventually(lambda: job(stack, ended.job)["status"] == "FAILED")
    assert len(stack.objects("submissions/")) == 3
    cleaned = run("rios-awsbatch", "clean")
    assert "Swept 1 submissions whose jobs have ended." in cleaned.out
    assert stack.objects("submissions/") == ["submissions/young/files.tar.gz"]
    stack.s3.delete_object(Bucket=stack.bucket, Key="submissions/young/files.tar.gz")
