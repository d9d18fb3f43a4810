"""The stack that the embedded AWS has from the start."""

from tests.support.helpers import WORKERS


def test_stack_has_the_outputs_that_a_run_reads(account):
    """Its outputs name the bucket, the queues, the job queue, the definitions and the capacity."""
    assert account.outputs["BatchProcessingJobQueueName"] == "riosJobQueue"
    assert account.outputs["BatchProcessingJobDefinitionName"] == "riosJobDefinition"
    assert account.outputs["BatchProcessingJobDefinitionMainName"] == "riosJobDefinitionMain"
    assert account.outputs["BatchMaxJobs"] == str(WORKERS)
    account.s3.head_bucket(Bucket=account.outputs["BatchBucket"])
    for name in ("BatchInQueue", "BatchOutQueue"):
        account.send(account.outputs[name])
        assert [message["Body"] for message in account.receive(account.outputs[name])] == ["hello"]


def test_definitions_and_queues_have_their_given_names(account):
    """What the template names has that name, and a queue's URL is that of the queue."""
    definitions = account.batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    assert {"riosJobDefinition", "riosJobDefinitionMain"} <= {
        d["jobDefinitionName"] for d in definitions
    }
    (queue,) = account.batch.describe_job_queues(jobQueues=["riosJobQueue"])["jobQueues"]
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
    assert (
        account.sqs.get_queue_url(QueueName="riosInQueue")["QueueUrl"]
        == account.outputs["BatchInQueue"]
    )
