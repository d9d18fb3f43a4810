"""What is left of submissions, and swept."""

from tests.jobs.support import job, run, submit
from tests.support.helpers import eventually


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
