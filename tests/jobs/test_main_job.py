"""The main job's entry point, and the workers' as that of any job."""

import sys

from tests.jobs.support import run


def test_main_without_a_submission():
    """Outside of such a job, it says so; --version and --help work without AWS."""
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
