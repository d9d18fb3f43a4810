"""Credentials: looked up again when AWS refuses them, by one thread at a time."""

import json
import threading

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError

from rios_plugin_awsbatch.aws import credentials as module
from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.credentials import RenewableCredentials
from rios_plugin_awsbatch.aws.errors import is_passing
from tests.aws.support import Answer, serving

EXPIRED = Answer(b"{}", 400, headers={"x-amzn-errortype": "ExpiredTokenException"})
GOOD = Answer(b'{"jobs": []}')
KEYS = {"AccessKeyId": "container", "SecretAccessKey": "secret", "Token": "token"}
CONTAINER = Answer(json.dumps({**KEYS, "Expiration": "2100-01-01T00:00:00Z"}).encode())
BUSY = Answer(b"too many", 429)


@pytest.fixture
def profile(server, monkeypatch, tmp_path):  # noqa: ARG001 - it sets the endpoint
    """Return a function that writes a key into the file of credentials."""
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    def write(key):
        path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")

    return write


def key_of(clients):
    return clients.batch._get_credentials().access_key


def test_a_profile_that_was_rewritten_is_seen_after_a_refusal(answers, profile):
    """By clients that exist already, without anybody making a new one."""
    profile("old")
    clients = Clients("ap-southeast-2")
    answers.set(EXPIRED)
    with pytest.raises(ClientError):
        clients.batch.describe_jobs(jobs=["1"])
    profile("new")
    answers.set(GOOD)
    assert clients.batch.describe_jobs(jobs=["1"])["jobs"] == []
    assert key_of(clients) == "new"
    assert clients.sqs._get_credentials().access_key == "new"


def test_good_credentials_are_looked_up_once(answers, profile):
    """A file that changes while AWS accepts its key is not read again."""
    profile("old")
    clients = Clients("ap-southeast-2")
    answers.set(GOOD)
    clients.batch.describe_jobs(jobs=["1"])
    profile("new")
    clients.batch.describe_jobs(jobs=["1"])
    assert key_of(clients) == "old"


def test_a_denial_is_no_reason_to_look_them_up_again(answers, profile):
    """Who may not do something is still who he is."""
    profile("old")
    clients = Clients("ap-southeast-2")
    answers.set(Answer(b"{}", 403, headers={"x-amzn-errortype": "AccessDeniedException"}))
    with pytest.raises(ClientError):
        clients.batch.describe_jobs(jobs=["1"])
    profile("new")
    assert key_of(clients) == "old"


def test_credentials_that_come_later_are_found(answers, profile):
    """Without any, the error says so; then there are some."""
    clients = Clients("ap-southeast-2")
    answers.set(GOOD)
    with pytest.raises(NoCredentialsError):
        clients.batch.describe_jobs(jobs=["1"])
    profile("new")
    assert clients.batch.describe_jobs(jobs=["1"])["jobs"] == []


def test_one_thread_looks_them_up_for_all():
    """A provider may ask the user for a code: once is enough."""
    asked, answer, found = [], threading.Event(), []

    def find():
        asked.append(threading.current_thread())
        assert answer.wait(60)
        return Credentials("key", "secret")

    shared = RenewableCredentials(find)
    threads = [
        threading.Thread(target=lambda: found.append(shared.get_frozen_credentials().access_key))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    shared.distrust()  # while they are looked up: what comes is new
    answer.set()
    for thread in threads:
        thread.join(60)
    assert found == ["key"] * 4
    assert len(asked) == 1


def test_what_cannot_be_looked_up_is_looked_up_again_by_the_next():
    """An error is everybody's who waits for it, and nobody's afterwards."""
    results = [OSError("no file"), None, Credentials("key", "secret")]

    def find():
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    shared = RenewableCredentials(find)
    with pytest.raises(Exception, match="no file"):
        shared.get_frozen_credentials()
    with pytest.raises(NoCredentialsError):
        shared.get_frozen_credentials()
    assert shared.get_frozen_credentials().secret_key == "secret"


@pytest.mark.usefixtures("profile")
def test_a_busy_endpoint_of_a_container_s_credentials_is_waited_for(answers, monkeypatch):
    """Many workers that start at once are refused with 429 at first; none of them ends for it."""
    answers.set(GOOD)
    with serving() as (endpoint, container):
        container.set(BUSY, BUSY, BUSY, BUSY, CONTAINER)  # botocore tries three times
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0.01)
        clients = Clients("ap-southeast-2")
        assert clients.batch.describe_jobs(jobs=["1"])["jobs"] == []
        assert key_of(clients) == "container"


@pytest.mark.usefixtures("profile")
def test_an_endpoint_that_stays_out_of_order_is_an_outage(monkeypatch):
    """Whoever has more patience goes on trying."""
    monkeypatch.setattr(module, "HICCUP_SECONDS", 0.0)
    with serving() as (endpoint, container):
        container.set(BUSY)
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint)
        monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0.01)
        with pytest.raises(CredentialRetrievalError) as caught:
            Clients("ap-southeast-2").batch.describe_jobs(jobs=["1"])
    assert is_passing(caught.value)
    assert not is_passing(CredentialRetrievalError(provider="custom-process", error_msg="no"))
