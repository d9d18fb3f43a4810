"""The commands without credentials: they say how to get some, and never that a stack is missing."""

import os

import pytest

from tests.cli.support import run
from tests.support.helpers import without_aws

SSO = """
[profile dev]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = role
"""


@pytest.fixture
def profile(monkeypatch, tmp_path):
    """A profile `dev` whose owner has not logged in."""
    for name in os.environ.keys() - without_aws().keys():
        monkeypatch.delenv(name)
    for name, value in without_aws().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "config"
    config.write_text(SSO)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return "dev"


@pytest.mark.parametrize(
    "words",
    [
        ["stack", "status"],
        ["stack", "create"],
        ["stack", "delete"],
        ["image", "path"],
        ["jobs"],
        ["clean"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_who_is_not_logged_in_is_told_to_log_in(profile, words):
    """Not to create the stack, which may well be there."""
    ended = run(*words, AWS_PROFILE=profile)
    assert ended.code == 1
    assert "you are not logged in to AWS" in ended.out + ended.err
    assert "aws sso login" in ended.out + ended.err
    for wrong in ("create it", "Create the stack", "no stack", "Traceback"):
        assert wrong not in ended.out + ended.err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"AWS_ENDPOINT_URL": "nonsense"}, "Invalid endpoint: nonsense"),
        ({"AWS_CONFIG_FILE": "/"}, "Is a directory: '/'"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}, ""),
    ],
    ids=["endpoint", "file", "token file"],
)
@pytest.mark.parametrize("command", [["stack", "status"], ["jobs"], ["doctor"]], ids=" ".join)
@pytest.mark.usefixtures("profile")
def test_a_configuration_that_cannot_be_used_is_a_sentence(given, words, command):
    """It names the variable, whatever botocore raises."""
    if "AWS_ROLE_ARN" not in given:
        given = {**given, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    ended = run(*command, **given)
    said = ended.out + ended.err
    assert ended.code == 1
    assert "the AWS configuration cannot be used" in said
    assert words in said
    assert next(iter(given)) in said
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [["stack", "status"], ["jobs"], ["doctor"]], ids=" ".join)
def test_an_unknown_profile_is_named(profile, words):
    """With the variable that names it."""
    ended = run(*words, AWS_PROFILE=f"{profile}elopment")
    assert ended.code == 1
    assert "The config profile (development) could not be found; correct AWS_PROFILE" in (
        ended.out + ended.err
    )
