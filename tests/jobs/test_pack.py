"""What travels: found, packed, fetched and verified."""

import hashlib
import io
import os
import subprocess
import tarfile

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.jobs.files import fetched
from rios_plugin_awsbatch.jobs.pack import pack, script_at
from tests.jobs.support import SCRIPTS, run


def packed(path, **more):
    archive = io.BytesIO()
    digest, _ = pack(script_at(path, **more), archive)
    return archive, digest


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
