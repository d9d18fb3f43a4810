"""The SQS queues of a stack's runs, which main scripts make and the stack does not contain."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import botocore.exceptions

from rios_plugin_awsbatch.aws.errors import is_missing_queue
from rios_plugin_awsbatch.aws.names import name_of, queue_pattern

from .records import Step, deleted

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

__all__ = ["RunQueues"]


class RunQueues:
    """The queues of all runs of a stack.

    Args:
        sqs: The client.
        prefix: How their names begin.
    """

    def __init__(self, sqs: "SQSClient", prefix: str) -> None:
        self._sqs = sqs
        self._prefix = prefix
        # SQS lists a queue for up to a minute after its deletion:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html
        self._deleted: set[str] = set()

    def delete(self) -> Iterator[Step]:
        """Delete those that this object has not deleted before."""
        urls = [url for url in self._listed() if url not in self._deleted]
        for url in urls:
            try:
                self._sqs.delete_queue(QueueUrl=url)
            except botocore.exceptions.ClientError as error:
                if not is_missing_queue(error):
                    raise
            self._deleted.add(url)
        yield from deleted(len(urls), "queue of runs", "queues of runs")

    def _listed(self) -> list[str]:
        pages = self._sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix=self._prefix, PaginationConfig={"PageSize": 1000}
        )
        urls = [url for page in pages for url in page.get("QueueUrls", [])]
        ours = queue_pattern(self._prefix)
        return [url for url in urls if ours.fullmatch(name_of(url))]
