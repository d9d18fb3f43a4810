"""What a check costs, by a small table of prices."""

import pytest

from rios_plugin_awsbatch.acceptance.prices import PRICES, Cost


def test_requests_are_priced_by_service():
    """SQS's and S3's cost something, S3's by their kind; Batch's cost nothing."""
    cost = Cost({"sqs.SendMessage": 10, "s3.PutObject": 2, "s3.GetObject": 3, "batch.SubmitJob": 5})
    assert cost.count == 20
    assert cost.dollars == pytest.approx(
        10 * PRICES["SQS request"] + 2 * PRICES["S3 PUT, LIST"] + 3 * PRICES["S3 GET"]
    )


def test_computing_is_priced_by_the_second():
    """A vCPU costs some cents an hour, with its memory."""
    assert 0.03 < Cost(vcpu_seconds=3600).dollars < 0.1
    assert Cost().dollars == 0
