"""S3 is moto's, behind a server that is safe for threads and keeps connections open."""

import pytest

from tests.local.support import in_threads


def test_objects_under_threads(account):
    """Objects that many threads put, get, list and delete at once are those that they wrote."""
    bucket = account.bucket_of_its_own()

    def work(index):
        for number in range(10):
            key, body = f"{index}/{number}", bytes([index, number]) * 50_000
            account.s3.put_object(Bucket=bucket, Key=key, Body=body)
            assert account.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
        listed = account.s3.list_objects_v2(Bucket=bucket, Prefix=f"{index}/")["Contents"]
        assert len(listed) == 10
        objects = [{"Key": entry["Key"]} for entry in listed]
        account.s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})

    in_threads(8, work)
    assert account.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    with pytest.raises(account.s3.exceptions.NoSuchKey):
        account.s3.get_object(Bucket=bucket, Key="0/0")


def test_ranges_and_heads(account):
    """HEAD and range requests keep the connection in step for the next request."""
    bucket = account.bucket_of_its_own()
    account.s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    for _ in range(3):
        assert account.s3.head_object(Bucket=bucket, Key="key")["ContentLength"] == 10
        assert (
            account.s3.get_object(Bucket=bucket, Key="key", Range="bytes=2-4")["Body"].read()
            == b"234"
        )
