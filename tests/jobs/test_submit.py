"""`rios-awsbatch submit`: a user's script as the main job, with real jobs."""

import re

import pytest

from tests.jobs.support import (
    CALLS_WORKERS,
    DEFINITIONS,
    definitions,
    follow,
    image_of,
    job,
    run,
    submit,
    succeeds,
    wheel,
)
from tests.support.helpers import eventually

# The way of a script


def test_a_script_runs_as_the_main_job_and_starts_workers(stack, script):
    """Its log is shown, its workers are other jobs, and nothing of the submission is left."""
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
def test_variables_reach_the_workers_too(script, monkeypatch):
    """Those of --env, and those of RIOS_AWSBATCH_ENV here; whatever their values are."""
    path = script("""
        import os
        from rios_plugin_awsbatch import BatchExecutor

        def seen(*names):
            return [os.environ.get(name) for name in names]

        if __name__ == "__main__":
            names = "COLOUR", "RAB_HERE", "GDAL_CACHEMAX", "PYTHONPATH"
            with BatchExecutor(1) as executor:
                *values, path = executor.submit(seen, *names).result()
            print(values, path.split(":")[0])
    """)
    monkeypatch.setenv("RAB_HERE", "as it is here")
    monkeypatch.setenv("GDAL_CACHEMAX", "7")
    monkeypatch.setenv("RIOS_AWSBATCH_ENV", "gdal,RAB_HERE")
    ended = follow(path, "--env", "COLOUR=a,b\nc", "--env", "PYTHONPATH=/opt/mine")
    assert r"['a,b\nc', 'as it is here', '7'] /opt/mine" in ended.out, ended


@pytest.mark.usefixtures("stack")
def test_the_modules_of_a_submission_travel_once(script):
    """Workers fetch the files of a submission themselves."""
    script("def word():\n    return 'word'\n", "rab_beside.py")
    path = script("""
        import os, rab_beside
        from rios_plugin_awsbatch import BatchExecutor

        def seen():
            return rab_beside.word(), os.environ["PYTHONPATH"]

        if __name__ == "__main__":
            with BatchExecutor(1, modules="") as executor:
                print(*executor.submit(seen).result())
    """)
    ended = follow(path, "--folder", str(path.parent))
    assert "word " in ended.out, ended
    assert "submission-" in ended.out
    assert "runtime-" not in ended.out


@pytest.mark.usefixtures("stack")
def test_arguments_and_variables_arrive(script, monkeypatch):
    """ARGS arrive as they are; --threads, --env and the settings here are in its environment."""
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
    """Main and its workers have the modules beside the script and in the folder, and the data."""
    root = tmp_path / "project"
    path = script(
        """
        import os
        import beside, package.within
        from rios_plugin_awsbatch import BatchExecutor

        print(open("data/table.txt").read(), os.access("data/tool", os.X_OK))
        with BatchExecutor(1) as executor:
            wheres = [beside.where, package.within.where]
            print(*[executor.submit(where).result() for where in wheres])
        """,
        "project/scripts/main.py",
    )
    script("def where():\n    return 'beside'\n", "project/scripts/beside.py")
    script("def where():\n    return 'within'\n", "project/package/within.py")
    script("a table", "project/data/table.txt")
    script("#!/bin/sh\n", "project/data/tool").chmod(0o755)
    script("nobody needs it", "project/.git/config")
    ended = follow(path, "--folder", root)
    lines = ended.out.splitlines()  # a warning may come between
    assert {"a table True", "beside within"} <= {*lines}, ended


@pytest.mark.usefixtures("stack")
def test_requirements_are_installed_in_main_and_in_workers(script, tmp_path):
    """The script and its workers can import what the list of requirements names."""
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


def test_a_name_of_one_letter_is_a_name(stack, script):
    """Batch takes it, and so does the embedded AWS."""
    ended = submit(script("", "s.py"))
    assert job(stack, ended.job)["jobName"] == "s"
    succeeds(stack, ended.job)


def test_a_script_can_submit_another(stack, script, monkeypatch):
    """What the environment says of a main job's own files is not passed on."""
    monkeypatch.setenv("RIOS_AWSBATCH_SUBMISSION", f"1:{'0' * 64}")
    ended = submit(script("print('the other')"))
    succeeds(stack, ended.job)
    assert "the other\n" in run("rios-awsbatch", "logs", ended.job).out


# The image


def test_by_default_it_runs_in_the_image_of_the_workers(stack, script):
    """The stack has a job definition for that, with main's role: nothing is registered."""
    ended = submit(script("import time; time.sleep(60)"))
    assert definitions(stack) == DEFINITIONS
    described = job(stack, ended.job)
    assert described["jobDefinition"].endswith("/riosJobDefinitionMainScript:1")
    assert described["container"]["image"] == image_of(stack, "riosJobDefinition")
    assert described["jobQueue"].endswith("/riosJobQueueMain")
    run("rios-awsbatch", "cancel", ended.job)


@pytest.mark.usefixtures("submitter")
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


def test_variables_do_not_get_into_the_description_of_the_job(stack, script, monkeypatch):
    """Whoever may describe jobs could read them: they go with the files, and workers get them."""
    path = script("""
        import os
        from rios_plugin_awsbatch import BatchExecutor

        def seen():
            names = "EARTHDATA_TOKEN", "MY_PASSWORD", "HTTPS_PROXY"
            return [os.environ.get(name, "none")[::-1] for name in names]

        if __name__ == "__main__":
            with BatchExecutor(1) as executor:
                print(seen(), executor.submit(seen).result())
    """)
    monkeypatch.setenv("EARTHDATA_TOKEN", "s3cret")
    monkeypatch.setenv("RIOS_AWSBATCH_ENV", "EARTHDATA_TOKEN")
    monkeypatch.setenv("NO_PROXY", "*")
    # What the job itself needs to reach AWS is among its variables, unless it has a password.
    words = "--env", "MY_PASSWORD=s3cret", "--env", "HTTPS_PROXY=http://me:s3cret@proxy"
    ended = follow(path, *words, "--env", "NO_PROXY", "--env", "COLOUR=green")
    values = ["terc3s", "terc3s", "yxorp@terc3s:em//:ptth"]
    assert f"{values} {values}\n" in ended.out, ended
    described = job(stack, ended.job)
    assert "s3cret" not in str(described)
    names = {one["name"] for one in described["container"]["environment"]}
    assert "NO_PROXY" in names
    assert not names & {"COLOUR", "MY_PASSWORD", "RIOS_AWSBATCH_ENV"}


@pytest.mark.usefixtures("stack")
def test_variables_may_be_longer_than_what_batch_takes(script, monkeypatch):
    """Batch allows 8,192 characters for all that a job changes of its definition."""
    path = script("""
        import os
        from rios_plugin_awsbatch import BatchExecutor

        def seen():
            return len(os.environ["LONG"]), len(os.environ["HERE"])

        if __name__ == "__main__":
            with BatchExecutor(1) as executor:
                print(seen(), executor.submit(seen).result())
    """)
    monkeypatch.setenv("HERE", "y" * 100_000)
    monkeypatch.setenv("RIOS_AWSBATCH_ENV", "HERE")
    ended = follow(path, "--env", f"LONG={'x' * 9000}")
    assert "(9000, 100000) (9000, 100000)\n" in ended.out, ended


@pytest.mark.usefixtures("submitter")
def test_a_credential_for_the_workers_does_not_get_into_a_job_without_files(stack, monkeypatch):
    """Nothing can go with them then; who gives it with --env has decided so."""
    command = "--no-script", "--image", "riosmain:latest", "--", "true"
    monkeypatch.setenv("EARTHDATA_TOKEN", "s3cret")
    monkeypatch.setenv("RIOS_AWSBATCH_ENV", "EARTHDATA_TOKEN")
    ended = submit(*command)
    assert ended.code == 1
    assert "EARTHDATA_TOKEN" in ended.err
    assert "s3cret" not in ended.err
    accepted = submit("--env", "EARTHDATA_TOKEN=s3cret", *command)
    assert accepted.code == 0
    succeeds(stack, accepted.job)


@pytest.mark.usefixtures("stack")
@pytest.mark.usefixtures("submitter")
def test_an_image_that_cannot_be_pulled(script):
    """The job fails, and following it says why and what to do."""
    ended = follow(script(""), "--image", "missing/image:1")
    assert ended.code == 1
    assert "CannotPullContainerError" in ended.err
    assert "push it" in ended.err


@pytest.mark.usefixtures("submitter")
def test_an_image_with_its_own_script(stack):
    """With --no-script nothing travels, and ARGS are the image's command."""
    ended = follow(
        "--no-script", "--image", "riosmain:latest", "--", "sh", "-c", "echo own; exit 7"
    )
    assert (ended.code, ended.out) == (7, "own\n"), ended
    assert stack.objects("submissions/") == []


@pytest.mark.usefixtures("submitter")
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
    """What the job itself needs may be too long; files and definition are gone."""
    ended = submit(script(""), "--image", "another:1", "--env", f"AWS_LONG={'x' * 9000}")
    assert ended.code == 1
    assert "Cannot submit a job to stack RIOS in ap-southeast-2" in ended.err
    assert stack.objects("submissions/") == []
    assert definitions(stack) == DEFINITIONS
