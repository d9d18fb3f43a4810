"""What botocore cannot use of the user's configuration: a sentence that says where to look."""

import json
import os

import pytest

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_lapse, is_passing, sentence_for
from rios_plugin_awsbatch.aws.region import session_region
from tests.support.helpers import without_aws

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
ROLE = "role_arn = arn:aws:iam::123456789012:role/role\n"
# Variables, the profile, and a part of the sentence.
BROKEN = {
    "an endpoint that is no URL": ({"AWS_ENDPOINT_URL": "nonsense"}, "", "AWS_ENDPOINT_URL"),
    "a service's endpoint": ({"AWS_ENDPOINT_URL_STS": "nonsense"}, "", "AWS_ENDPOINT_URL_STS"),
    "defaults": ({"AWS_DEFAULTS_MODE": "x"}, "", "the AWS configuration cannot be used"),
    "checksums": ({"AWS_REQUEST_CHECKSUM_CALCULATION": "x"}, "", "request_checksum_calculation"),
    "an endpoint of STS's": ({"AWS_STS_REGIONAL_ENDPOINTS": "x"}, "", "STS regional endpoints"),
    "a token file that is not there": (
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"},
        None,
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ),
    "a container's host": (
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"},
        None,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    "a container's token file": (
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere",
        },
        None,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ),
    "a table that is none": ({}, "s3 = x\n", "the AWS configuration cannot be used"),
    "half a table": ({}, "s3 =\n  x\n", "Unable to parse config file"),
    "an addressing style": ({}, "s3 =\n  addressing_style = x\n", "S3 addressing style x"),
    "half a role": (None, ROLE, "missing: source_profile or credential_source"),
    "a role of nobody": (None, ROLE + "source_profile = other\n", '"other"'),
    "a role of itself": (
        None,
        f"{ROLE}source_profile = two\n[profile two]\n{ROLE}source_profile = dev\n",
        "Infinite loop",
    ),
    "a role's unknown source": (None, ROLE + "credential_source = X\n", 'source "X"'),
    "no such SSO session": (
        None,
        "sso_session = mine\nsso_account_id = 1\nsso_role_name = role\n",
        "sso-session does not exist",
    ),
    "no such program": (None, "credential_process = /nowhere/program\n", "/nowhere/program"),
    "a program's nonsense": (None, "credential_process = echo nonsense\n", "cannot be used"),
    "a program's half": (None, "credential_process = echo '{\"Version\": 1}'\n", "AccessKeyId"),
    "half a key": ({"AWS_ACCESS_KEY_ID": "id"}, None, "missing: AWS_SECRET_ACCESS_KEY"),
}


@pytest.fixture
def configure(monkeypatch, tmp_path):
    """Return a function that sets variables, and a profile `dev`; None: no keys, or no profile."""
    for name in os.environ.keys() - without_aws().keys():
        monkeypatch.delenv(name)
    for name, value in without_aws().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))

    def configures(variables, profile):
        given = {} if profile and variables is None else {**KEYS, **(variables or {})}
        if profile is None:
            given = variables
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        if profile:
            config = tmp_path / "config"
            config.write_text(f"[profile dev]\n{profile}")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
            monkeypatch.setenv("AWS_PROFILE", "dev")

    return configures


def error_of_asking():
    clients = Clients("us-east-1")
    with pytest.raises(AWS_ERRORS) as caught:
        (clients.s3, clients.sts.get_caller_identity())
    return caught.value


@pytest.mark.parametrize(("variables", "profile", "words"), BROKEN.values(), ids=BROKEN)
def test_a_configuration_that_cannot_be_used_is_told_in_a_sentence(
    configure, variables, profile, words
):
    """Whether botocore has an error of its own for it or not; it does not pass by itself."""
    configure(variables, profile)
    error = error_of_asking()
    sentence = sentence_for(error)
    assert words in sentence
    assert "correct" in sentence or "credentials" in sentence
    assert not is_passing(error)
    assert is_lapse(error)  # a profile may be found half written


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_file_that_cannot_be_read_is_named(configure, monkeypatch, tmp_path, variable):
    """botocore takes it for an empty one, and finds no credentials."""
    configure({}, "")
    monkeypatch.setenv(variable, str(tmp_path))  # a folder, since root may read any file
    assert f"{variable}" in sentence_for(error_of_asking())


def test_a_region_that_is_none(configure):
    """The sentence names what sets it."""
    configure({}, "")
    with pytest.raises(AWS_ERRORS) as caught:
        _ = Clients("us west").sqs
    assert "correct RIOS_AWSBATCH_REGION" in sentence_for(caught.value)


def test_no_secret_is_told(configure):
    """Places are named, and what they hold is not."""
    configure({"AWS_SESSION_TOKEN": "the-token", "AWS_ENDPOINT_URL": "nonsense"}, "")
    sentence = sentence_for(error_of_asking())
    assert "the-token" not in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize("profile", ["s3 = x\n", "s3 =\n  x\n", "nonsense\n"])
def test_a_configuration_that_cannot_be_read_sets_no_region(configure, profile):
    """Whoever makes a client is told what is wrong."""
    configure({}, profile)
    assert session_region() is None


def test_a_program_that_answers_gives_credentials(configure, tmp_path):
    """The configuration that the others are variations of is good."""
    answer = json.dumps({"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "secret"})
    (tmp_path / "answer").write_text(answer)
    configure(None, f"credential_process = cat {tmp_path}/answer\n")
    clients = Clients("us-east-1")
    assert clients.sqs.meta.region_name == "us-east-1"
    assert clients.sqs._get_credentials().access_key == "id"
