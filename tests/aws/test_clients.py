"""Clients: an answer has the keys that AWS documents, or is an error; each request is counted."""

import threading

import pytest
from botocore.exceptions import ClientError

from rios_plugin_awsbatch.aws.clients import Clients
from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, AnswerError, is_passing, sentence_for
from tests.aws.support import Answer

QUEUE = "http://queue/1/tasks"
# One call of each service and protocol that reads something of the answer.
READ = {
    "batch": lambda clients: clients.batch.describe_jobs(jobs=["1"])["jobs"],
    "cloudformation": lambda clients: clients.cloudformation.describe_stacks()["Stacks"],
    "ecr": lambda clients: clients.ecr().describe_images(repositoryName="rios")["imageDetails"],
    "logs": lambda clients: clients.logs().get_log_events(
        logGroupName="group", logStreamName="stream"
    )["events"],
    "s3 get": lambda clients: clients.s3.get_object(Bucket="bucket", Key="key")["Body"].read(),
    "s3 head": lambda clients: clients.s3.head_object(Bucket="bucket", Key="key")["ETag"],
    "s3 list": lambda clients: clients.s3.list_objects_v2(Bucket="bucket")["KeyCount"],
    "sqs receive": lambda clients: clients.sqs.receive_message(QueueUrl=QUEUE),
    "sqs send": lambda clients: clients.sqs.send_message(QueueUrl=QUEUE, MessageBody="text"),
    "sts": lambda clients: clients.sts.get_caller_identity()["Arn"],
}
# And of each that reads nothing.
WRITE = {
    "batch": lambda clients: clients.batch.terminate_job(jobId="1", reason="because"),
    "cloudformation": lambda clients: clients.cloudformation.delete_stack(StackName="RIOS"),
    "s3": lambda clients: clients.s3.put_object(Bucket="bucket", Key="key", Body=b"bytes"),
    "sqs": lambda clients: clients.sqs.delete_message(QueueUrl=QUEUE, ReceiptHandle="handle"),
}
HTML = Answer(b"<!DOCTYPE html>\n<html><body>Log in<br></body></html>", kind="text/html")
# Well-formed XML as well: botocore's XML parsers take it for an answer.
XHTML = Answer(b"<html><body>Log in</body></html>", kind="text/html")
EMPTY = Answer(b"")


@pytest.mark.parametrize("answer", [HTML, XHTML], ids=["html", "xhtml"])
@pytest.mark.parametrize("call", [*READ.values(), *WRITE.values()])
def test_html_of_a_proxy_is_an_error_that_may_pass(clients, answers, answer, call):
    """A login page of a network in AWS's place is never an answer, whatever is asked of whom."""
    answers.set(answer)
    with pytest.raises(AnswerError) as caught:
        call(clients)
    assert is_passing(caught.value)
    assert len(answers.asked) == 1


@pytest.mark.parametrize("call", READ.values(), ids=READ)
def test_an_empty_answer_where_something_was_asked_is_an_error_that_may_pass(
    clients, answers, call
):
    """No caller meets a KeyError, or takes it for an answer that says "none"."""
    answers.set(EMPTY)
    with pytest.raises(AWS_ERRORS) as caught:
        call(clients)
    assert is_passing(caught.value)


@pytest.mark.parametrize("service", ["batch", "sqs"])
def test_an_empty_answer_where_nothing_was_asked_is_an_answer(clients, answers, service):
    """An operation without output needs no body."""
    answers.set(EMPTY)
    assert WRITE[service](clients)["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    "body",
    [b'{"jobs": [{"jobId": "1"}', b'{"jobs": [{"jobId": {"a": 1}}', b"[1]", b'"jobs"', b"\xff{}"],
    ids=["cut", "cut after a brace", "a list", "a string", "not UTF-8"],
)
@pytest.mark.parametrize("call", [READ["batch"], READ["logs"], READ["ecr"], READ["sqs receive"]])
def test_a_body_that_is_not_an_object_of_json_is_an_error_that_may_pass(
    clients, answers, body, call
):
    """Half an answer would have no keys, and a half answer of SQS's would lose messages."""
    answers.set(Answer(body))
    with pytest.raises(AnswerError) as caught:
        call(clients)
    assert is_passing(caught.value)


def test_a_cut_answer_in_xml_is_an_error_that_may_pass(clients, answers):
    """botocore's own error for that is one of AWS's."""
    answers.set(Answer(b"<DescribeStacksResponse><DescribeStacksResult><St", kind="text/xml"))
    with pytest.raises(AWS_ERRORS) as caught:
        clients.cloudformation.describe_stacks()
    assert is_passing(caught.value)


def test_the_error_says_what_was_asked_of_whom_and_what_came(clients, answers):
    """Who reads it knows where to look."""
    answers.set(HTML)
    with pytest.raises(AnswerError) as caught:
        clients.batch.describe_jobs(jobs=["1"])
    sentence = sentence_for(caught.value)
    assert "the answer to DescribeJobs did not come from AWS's batch service" in sentence
    assert "<!DOCTYPE html>" in sentence
    assert "a proxy" in sentence


def test_an_object_without_an_etag_did_not_come_from_s3(clients, answers):
    """The bytes of an object can be anything, but S3 gives an ETag with them."""
    answers.set(Answer(b"{}"))
    with pytest.raises(AnswerError):
        clients.s3.get_object(Bucket="bucket", Key="runs/1/run.json")
    answers.set(Answer(b"<html>a report</html>", kind="text/html", headers={"ETag": '"0"'}))
    answer = clients.s3.get_object(Bucket="bucket", Key="report.html")
    assert answer["Body"].read() == b"<html>a report</html>"


def test_errors_of_a_proxy_keep_their_status(clients, answers):
    """HTML that comes with an error's status is an error of that status."""
    answers.set(Answer(b"<html>Forbidden</html>", status=403, kind="text/html"))
    for call in READ.values():
        with pytest.raises(ClientError) as caught:
            call(clients)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert not is_passing(caught.value)


def test_an_error_that_is_not_an_object_of_json(clients, answers):
    """A gateway may answer with a mere string."""
    answers.set(Answer(b'"Forbidden"', status=403))
    with pytest.raises(AnswerError):
        clients.batch.describe_jobs(jobs=["1"])


def test_what_aws_documents_is_passed_on(clients, answers):
    """Nothing is in the way of true answers."""
    answers.set(Answer(b'{"jobs": []}'))
    assert clients.batch.describe_jobs(jobs=["1"])["jobs"] == []
    answers.set(Answer(b"{}"))
    assert "Messages" not in clients.sqs.receive_message(QueueUrl=QUEUE)
    answers.set(
        Answer(
            b"<DescribeStacksResponse><DescribeStacksResult><Stacks/></DescribeStacksResult>"
            b"</DescribeStacksResponse>",
            kind="text/xml",
        )
    )
    assert clients.cloudformation.describe_stacks()["Stacks"] == []


def test_each_request_is_counted_by_its_operation(answers):
    """What boto3 repeats counts too, as AWS bills it."""
    clients = Clients("ap-southeast-2")
    answers.set(Answer(b"{}", status=500), Answer(b'{"jobs": []}'), Answer(b"{}"))
    clients.batch.describe_jobs(jobs=["1"])
    clients.sqs.receive_message(QueueUrl=QUEUE)
    assert clients.requests == 3
    assert clients.requests == len(answers.asked) == 3


@pytest.mark.usefixtures("server")
def test_a_client_is_made_once_whoever_asks_first():
    """Many threads may ask at once."""
    clients = Clients("ap-southeast-2")
    together, found = threading.Barrier(8), []

    def ask():
        together.wait()
        found.append((clients.s3, clients.logs("eu-west-1")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(s3) for s3, _ in found}) == len({id(logs) for _, logs in found}) == 1


def test_a_client_may_be_of_another_region(clients):
    """Images and logs may be elsewhere than the stack."""
    assert clients.ecr().meta.region_name == clients.region == "ap-southeast-2"
    assert clients.ecr("eu-west-1").meta.region_name == "eu-west-1"


def test_making_clients_asks_nobody(answers):
    """Not before something is asked of AWS is AWS asked."""
    answers.set(Answer())
    assert Clients("ap-southeast-2").s3.meta.service_model.service_name == "s3"
    assert answers.asked == []
