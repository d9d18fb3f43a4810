"""What travels: found, packed, fetched and verified."""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.errors import SubmissionError
from rios_plugin_awsbatch.jobs.files import fetched
from rios_plugin_awsbatch.jobs.pack import pack, script_at
from tests.jobs.support import SCRIPTS, jobs_of, run


def packed(path, **more):
    archive = io.BytesIO()
    digest, _ = pack(script_at(path, **more), archive)
    return archive, digest


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"path": "nowhere.py"}, "The script nowhere.py does not exist."),
        ({"path": "folder"}, "The script folder is a folder."),
        ({"folder": "nowhere"}, "There is no folder nowhere."),
        (
            {"folder": "folder"},
            "main.py is not in folder; the folder that travels must hold the script.",
        ),
        ({"requirements": "nowhere"}, "The list of requirements nowhere does not exist."),
    ],
)
def test_what_is_missing_is_named(script, tmp_path, monkeypatch, given, sentence):
    """The sentence names it as the user did."""
    script("")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    paths = {name: Path(value) for name, value in {"path": "main.py", **given}.items()}
    with pytest.raises(SubmissionError) as caught:
        script_at(**paths)
    assert str(caught.value) == sentence


def test_what_cannot_travel_is_named(script, tmp_path):
    """Neither links to folders nor what is no file."""
    path = script("", "project/main.py")
    (tmp_path / "project" / "folder").mkdir()
    link = tmp_path / "project" / "link"
    link.symlink_to("folder")
    with pytest.raises(SubmissionError, match="project/link is a link to a folder, which cannot"):
        packed(path, folder=path.parent)
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(SubmissionError, match="project/link is a socket, a pipe or a device"):
        packed(path, folder=path.parent)


def test_what_cannot_travel_leaves_nothing(stack, script, tmp_path):
    """One clear sentence, no job, and nothing in the bucket."""
    script("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    before = jobs_of(stack)
    ended = run("rios-awsbatch", "submit", "main.py", "--folder", ".", cwd=tmp_path)
    assert ended.code == 1
    assert ended.err.startswith("rios-awsbatch: ")
    assert ended.err.endswith(
        "is a link to a folder, which cannot travel; copy it, or move it away.\n"
    )
    assert stack.objects("submissions/") == []
    assert jobs_of(stack) == before


def test_the_same_files_make_the_same_archive(script):
    """Nothing in it depends on when it is made."""
    path = script("print('once')", "project/main.py")
    (first, digest), (second, again) = packed(path), packed(path)
    assert first.getvalue() == second.getvalue()
    assert digest == again


def test_a_link_to_a_script_travels_under_its_own_name(script, tmp_path):
    """It runs as it is called, with what it points to."""
    script("print('real')", "elsewhere/real.py")
    link = tmp_path / "link.py"
    link.symlink_to("elsewhere/real.py")
    archive, _ = packed(link)
    with tarfile.open(fileobj=archive) as tar:
        assert tar.extractfile("files/link.py").read() == b"print('real')"


def test_the_archive_tells_nothing_of_who_made_it(script):
    """It holds neither the user's name nor the script's place, and nothing that nobody needs."""
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
    """A changed archive has another SHA-256: nothing of it is run, in main or in workers."""
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
